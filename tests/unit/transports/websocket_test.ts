/** The life of one socket, event by event. */
import { assertEquals } from "@std/assert";
import { AcceptedWebSocket } from "../../../lib/transports/websocket.ts";

class FakeSocket extends EventTarget {
  readyState: number = WebSocket.CONNECTING;
  closed = 0;

  close(): void {
    this.closed += 1;
  }
}

Deno.test("a socket that opens after it was given up is closed: nobody counts it, nobody reads it", () => {
  const socket = new FakeSocket();
  const heard: string[] = [];
  const host = {
    frame: 65_536,
    shaken: () => heard.push("shaken"),
    opened: () => heard.push("opened"),
    silent: () => {},
    gone: () => heard.push("gone"),
    closings: { delete: () => {} },
  };
  const origin = { connection: "c", address: "127.0.0.1" };
  Reflect.construct(AcceptedWebSocket, [socket, origin, "welcome", host]);
  socket.dispatchEvent(new CloseEvent("close", { code: 1006 }));
  assertEquals(heard, ["shaken", "gone"]);
  assertEquals(socket.closed, 0);
  socket.readyState = WebSocket.OPEN;
  socket.dispatchEvent(new Event("open"));
  assertEquals(heard, ["shaken", "gone"]);
  assertEquals(socket.closed, 1);
});
