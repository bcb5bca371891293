/** Spans of OpenTelemetry: how long a publication takes, from the socket to its commit. Deno exports them with OTEL_DENO=true. */
import { SpanStatusCode, trace } from "@opentelemetry/api";
import type { EdgeEnd } from "../bus.ts";

/**
 * Has a span for each message that goes up. It has the kind of its channel and its seq: no names, texts or tokens.
 *
 * @param bus The edge's end.
 * @returns The same, watched.
 */
export function traced(bus: EdgeEnd): EdgeEnd {
  const tracer = trace.getTracer("fanfare");
  return {
    listen: (receiver) => bus.listen(receiver),
    send(up, answered) {
      if (up.op !== "propose" || up.proposal.kind !== "message") return bus.send(up, answered);
      const { channel } = up.proposal;
      const kind = channel.slice(0, channel.indexOf(":"));
      const span = tracer.startSpan("publish", { attributes: { "fanfare.kind": kind } });
      bus.send(up, (answer) => {
        if (answer !== null && "outcome" in answer) {
          span.setAttribute("fanfare.seq", answer.outcome.seq);
        } else {
          const code = answer !== null && "refusal" in answer ? answer.refusal.code : "internal";
          span.setStatus({ code: SpanStatusCode.ERROR, message: code });
        }
        span.end();
        answered?.(answer);
      });
    },
  };
}
