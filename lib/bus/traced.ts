/**
 * Spans of OpenTelemetry: how long a publication takes, from the socket to its commit. Deno exports them with OTEL_DENO=true; a
 * compiled program does if that was so when it was compiled.
 */
import { SpanStatusCode, trace } from "@opentelemetry/api";
import type { Answer, EdgeEnd, Up } from "./bus.ts";
import type { Outcome } from "../protocol/message.ts";

const NAME = "fanfare";

/**
 * Tells whether the runtime exports spans: only it knows what a compiled program was compiled with.
 *
 * @returns Whether it does.
 */
export function isTraced(): boolean {
  return trace.getTracer(NAME).startSpan("probe").isRecording();
}

/**
 * Drops the span that the runtime made for the request that is being answered: it has the whole address, with the channel and
 * with what careless clients put there, such as tokens, and what was set there can't be taken back. What never ends isn't exported.
 */
export function dropRequestSpan(): void {
  const span = trace.getActiveSpan();
  if (span !== undefined) Object.defineProperty(span, "end", { value: () => {} });
}

/**
 * Has a span for each message that goes up. It has the kind of its channel and its seq: no names, texts or tokens.
 *
 * @param bus The edge's end.
 * @returns The same, watched.
 */
export function traced(bus: EdgeEnd): EdgeEnd {
  const tracer = trace.getTracer(NAME);
  return {
    listen: (receiver) => bus.listen(receiver),
    send(up, answered) {
      const spans = channelsOf(up).map((channel) => {
        const kind = channel.slice(0, channel.indexOf(":"));
        // The span of the request, which it would belong to, is dropped.
        return tracer.startSpan("publish", { root: true, attributes: { "fanfare.kind": kind } });
      });
      if (spans.length === 0) return bus.send(up, answered);
      bus.send(up, (answer) => {
        const outcomes = outcomesIn(answer);
        for (const [i, span] of spans.entries()) {
          const outcome = outcomes[i];
          if (outcome !== undefined) {
            span.setAttribute("fanfare.seq", outcome.seq);
          } else {
            const code = answer !== null && "refusal" in answer ? answer.refusal.code : "internal";
            span.setStatus({ code: SpanStatusCode.ERROR, message: code });
          }
          span.end();
        }
        answered?.(answer);
      });
    },
  };
}

function channelsOf(up: Up): string[] {
  if (up.op === "publish") return up.proposals.map(({ channel }) => channel);
  return up.op === "propose" && up.proposal.kind === "message" ? [up.proposal.channel] : [];
}

function outcomesIn(answer: Answer): readonly Outcome[] {
  if (answer === null) return [];
  if ("outcomes" in answer) return answer.outcomes;
  return "outcome" in answer ? [answer.outcome] : [];
}
