// A WebSocket of Node's ws through a proxy, whose tunnel is asked for by hand: tunnel.cjs PROXY HOST:PORT URL
const http = require("node:http");
const tls = require("node:tls");
const WebSocket = require("ws");

const [, , proxy, target, url] = process.argv;
const { hostname, port } = new URL(proxy);

http.request({ hostname, port, method: "CONNECT", path: target }).on("connect", (response, socket) => {
  if (response.statusCode !== 200) throw new Error(`the proxy answered with ${response.statusCode}`);
  const secure = url.startsWith("wss:");
  const createConnection = () => (secure ? tls.connect({ socket, servername: new URL(url).hostname }) : socket);
  const ws = new WebSocket(url, { createConnection, perMessageDeflate: false });
  ws.on("open", () => ws.send("through the tunnel"));
  ws.on("message", (data) => {
    if (data.toString() !== "through the tunnel") throw new Error(`the echo is another: ${data}`);
    ws.close(4001, "done");
  });
  ws.on("close", (code) => process.exit(code === 4001 ? 0 : 1));
}).end();
