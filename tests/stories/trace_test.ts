/** OpenTelemetry: a span for each publication, and nothing in it that is nobody's business. */
import { assertEquals, assertGreater } from "@std/assert";
import { pause, spawnServer, within } from "../helpers/child_server.ts";
import { tempFolder } from "../helpers/log.ts";
import { NativeClient } from "../helpers/server.ts";

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
        bodies.push(await request.text());
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
    const host = `127.0.0.1:${await child.listening}`;
    await using ada = await NativeClient.open({ host });
    const data = { text: "a secret text" };
    const { seq } = await ada.do("publish", { channel: "room:hidden", data, key: "a-key" });
    await ada.ask("publish", { channel: "dm:aaaaaaaa.bbbbbbbb", data });
    const batch = ["push:hidden", "push:other"].map((channel) => ({ channel, data }));
    const posted = await fetch(`http://${host}/api/messages`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(batch),
    });
    assertEquals(posted.status, 201);
    const places: { seq: number }[] = await posted.json();
    // Channels and what careless clients send stand in addresses: the runtime's own spans of requests have those.
    const careless = await fetch(`http://${host}/push/hidden?auth=a-secret-token`, {
      method: "POST",
      body: "a secret text",
    });
    await careless.body?.cancel();
    assertEquals(careless.status, 401);
    const named = await fetch(`http://${host}/push/hidden`, { method: "POST", body: "a secret" });
    const { seq: last }: { seq: number } = await named.json();
    const spans = () =>
      bodies.flatMap((body) =>
        ((JSON.parse(body).resourceSpans ?? []) as { scopeSpans: { spans: Span[] }[] }[])
          .flatMap(({ scopeSpans }) => scopeSpans.flatMap(({ spans }) => spans))
      );
    const there = async () => {
      while (spans().length < 4) await pause(20);
    };
    await within(there(), 10_000, "the spans");
    const told = spans().map(({ attributes }) =>
      attributes.map(({ key, value }) => `${key} ${Object.values(value)[0]}`).join()
    );
    // Each isolate sends its own when it likes.
    assertEquals(
      told.toSorted(),
      [
        `fanfare.kind room,fanfare.seq ${seq}`,
        ...[...places, { seq: last }].map(({ seq }) => `fanfare.kind push,fanfare.seq ${seq}`),
      ].toSorted(),
    );
    child.signal("SIGTERM");
    assertEquals((await within(child.ended, 20_000, "the end")).code, 0);
    assertEquals(new Set(spans().map(({ name }) => name)), new Set(["publish"]));
    for (const span of spans()) {
      assertGreater(BigInt(span.endTimeUnixNano), BigInt(span.startTimeUnixNano));
    }
    for (const hidden of ["secret", "hidden", "a-key"]) {
      assertEquals(bodies.filter((body) => body.includes(hidden)), []);
    }
  });
}
