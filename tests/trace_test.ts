/** OpenTelemetry: a span for each publication, and nothing in it that is nobody's business. */
import { assertEquals, assertGreater } from "@std/assert";
import { pause, spawnServer, within } from "./helpers/child_server.ts";
import { tempFolder } from "./helpers/log.ts";
import { NativeClient } from "./helpers/server.ts";

interface Span {
  readonly name: string;
  readonly startTimeUnixNano: string;
  readonly endTimeUnixNano: string;
  readonly status: { readonly code?: number; readonly message?: string };
  readonly attributes: readonly { readonly key: string; readonly value: Record<string, unknown> }[];
}

for (const workers of ["0", "2"]) {
  Deno.test(`a publication has a span from the socket to the commit, with ${workers} isolates`, async () => {
    const bodies: string[] = [];
    await using collector = Deno.serve(
      { port: 0, hostname: "127.0.0.1", onListen: () => {} },
      async (request) => {
        if (new URL(request.url).pathname === "/v1/traces") bodies.push(await request.text());
        return Response.json({});
      },
    );
    using folder = tempFolder("disk");
    await using child = await spawnServer({
      data: `${folder.path}/data`,
      flags: ["--workers", workers],
      env: {
        OTEL_DENO: "true",
        OTEL_EXPORTER_OTLP_PROTOCOL: "http/json",
        OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${collector.addr.port}`,
        OTEL_BSP_SCHEDULE_DELAY: "100",
      },
    });
    await using ada = await NativeClient.open({ host: `127.0.0.1:${await child.listening}` });
    const data = { text: "a secret text" };
    const { seq } = await ada.do("publish", { channel: "room:hidden", data, key: "a-key" });
    await ada.ask("publish", { channel: "dm:aaaaaaaa.bbbbbbbb", data });
    const spans = () =>
      bodies.flatMap((body) =>
        (JSON.parse(body).resourceSpans as { scopeSpans: { spans: Span[] }[] }[])
          .flatMap(({ scopeSpans }) => scopeSpans.flatMap(({ spans }) => spans))
      ).filter(({ name }) => name === "publish");
    const there = async () => {
      while (spans().length === 0) await pause(20);
    };
    await within(there(), 10_000, "the span");
    const [span] = spans();
    const told = span?.attributes.map(({ key, value }) => [key, Object.values(value)[0]]) ?? [];
    assertEquals(told.map(([key, value]) => [key, String(value)]), [
      ["fanfare.kind", "room"],
      ["fanfare.seq", String(seq)],
    ]);
    assertGreater(BigInt(span?.endTimeUnixNano ?? 0), BigInt(span?.startTimeUnixNano ?? 0));
    for (const hidden of ["secret", "hidden", "a-key"]) {
      assertEquals(bodies.filter((body) => body.includes(hidden)), []);
    }
  });
}
