// No server at all: what readers can take. It sends the same bytes to everyone as fast as TCP takes them, 300 messages at a
// time: joined into a frame, or a frame for each.
import { createServer } from "node:net";
import process from "node:process";

const MESSAGES = 300;
const joined = process.argv[2] === "joined";
const readers = [];
let seq = 0;
let waiting = 0;

function frame(payload) {
  const size = Buffer.byteLength(payload);
  const head = size < 126
    ? Buffer.from([0x81, size])
    : size < 65_536
    ? Buffer.from([0x81, 126, size >> 8, size & 255])
    : Buffer.from([
      0x81,
      127,
      0,
      0,
      0,
      0,
      size >> 24,
      (size >> 16) & 255,
      (size >> 8) & 255,
      size & 255,
    ]);
  return Buffer.concat([head, Buffer.from(payload)]);
}

function next() {
  const lines = Array.from({ length: MESSAGES }, () => {
    const at = Math.round((performance.timeOrigin + performance.now()) * 1000);
    const text = `0.${seq}.${at}.`.padEnd(100, "x");
    const message = {
      channel: "push:bench",
      seq: ++seq,
      time: Date.now(),
      from: "1f0c9a2b",
      data: { text },
    };
    return JSON.stringify({ message });
  });
  const bytes = joined ? frame(lines.join("\n")) : Buffer.concat(lines.map(frame));
  waiting = readers.length;
  for (const reader of readers) {
    reader.write(bytes, () => {
      if (--waiting === 0) setImmediate(next);
    });
  }
}

const server = createServer({ noDelay: true }, (socket) => {
  let state = "shake";
  socket.on("error", () => {});
  socket.on("data", (bytes) => {
    if (state === "shake") {
      socket.write(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
      );
      state = "open";
    } else if (state === "open" && bytes.includes('"subscribe"')) {
      socket.write(frame('{"subscribed":"push:bench"}'));
      readers.push(socket);
      state = "reads";
    } else if (state === "open" && waiting === 0) {
      state = "began";
      next();
    }
  });
});
server.listen({ port: 0, host: "127.0.0.1", backlog: 4096 }, () => {
  console.log(`http://127.0.0.1:${server.address().port}/`);
});
