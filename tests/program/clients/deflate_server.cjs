// An echo server of Node's ws, which compresses every message: prints its port
const { WebSocketServer } = require("ws");

const server = new WebSocketServer({
  host: "127.0.0.1",
  port: 0,
  maxPayload: 0,
  perMessageDeflate: { threshold: 0 },
});
server.on("listening", () => console.log(server.address().port));
server.on("connection", (socket) => {
  if (!socket.extensions.includes("permessage-deflate")) throw new Error("no compression was agreed on");
  socket.on("message", (data, isBinary) => socket.send(data, { binary: isBinary }));
});
