// Socket.IO, as its documentation has rooms: https://socket.io/docs/v4/rooms/
import { createServer } from "node:http";
import { createRequire } from "node:module";
import process from "node:process";

const { Server } = createRequire(`${process.env.PEERS}/`)("socket.io");
let seq = 0;
const http = createServer();
const io = new Server(http);
io.on("connection", (socket) => {
  socket.on("subscribe", ({ channel }) => {
    socket.join(channel);
    socket.emit("subscribed", { channel });
  });
  socket.on("publish", ({ channel, data }) => {
    const message = { channel, seq: ++seq, time: Date.now(), from: "1f0c9a2b", data };
    io.to(channel).emit("message", message);
  });
});
http.listen({ port: 0, host: "127.0.0.1", backlog: 4096 }, () => {
  console.log(`http://127.0.0.1:${http.address().port}/`);
});
