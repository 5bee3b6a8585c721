// A session of Node's ws: client.cjs URL
const WebSocket = require("ws");

function pattern(length) {
  const bytes = Buffer.alloc(length);
  for (let i = 0; i < length; i++) bytes[i] = i % 251;
  return bytes;
}

async function main(url) {
  const ws = new WebSocket(url, ["chat"]);
  const next = (event) =>
    new Promise((resolve, reject) => {
      ws.once(event, (...values) => resolve(values));
      ws.once("error", reject);
    });
  const expect = (holds, what) => {
    if (!holds) throw new Error(what);
  };
  await next("open");
  expect(ws.protocol === "chat", `protocol ${ws.protocol}`);
  const echoes = async (message, isBinary) => {
    ws.send(message, { binary: isBinary });
    const [got, wasBinary] = await next("message");
    expect(wasBinary === isBinary && Buffer.compare(got, Buffer.from(message)) === 0, `the echo of ${message.length}`);
  };
  for (const length of [0, 125, 126, 65535, 65536]) {
    await echoes("é".repeat(Math.floor(length / 2)) + "a".repeat(length % 2), false);
    await echoes(pattern(length), true);
  }
  await echoes(pattern(16 << 20), true);
  ws.ping("are you there?");
  const [pong] = await next("pong");
  expect(pong.toString() === "are you there?", "the pong");
  ws.send("one, ", { fin: false });
  ws.send("two, ", { fin: false });
  ws.send("three", { fin: true });
  const [whole] = await next("message");
  expect(whole.toString() === "one, two, three", "the fragments");
  ws.close(4001, "done, thank you");
  const [code] = await next("close");
  expect(code === 4001, `closed with ${code}`);
}

main(process.argv[2]).catch((error) => {
  console.error(error);
  process.exit(1);
});
