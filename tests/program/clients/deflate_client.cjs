// A session of Node's ws that compresses every message, with messages of others in between: deflate_client.cjs URL SEED COUNT
const WebSocket = require("ws");

let seed = Number(process.argv[3]);
function random(below) {
  seed = (seed * 48271) % 2147483647;
  return seed % below;
}

const words = ["price", "symbol", "WSI", "buy", "sell", "zürich", "東京", "{", "}", ":", ",", "0", "17"];
function message() {
  const length = random(10) === 0 ? random(3000) : random(60);
  let text = "";
  for (let i = 0; i < length; i++) text += words[random(words.length)] + " ";
  return text;
}

const ws = new WebSocket(process.argv[2], { perMessageDeflate: { threshold: 0 } });
const expected = [];
let left = Number(process.argv[4]);

function send() {
  while (left > 0 && expected.length < 8) {
    const text = message();
    expected.push(text);
    if (random(4) === 0) {
      const half = text.length >> 1;
      ws.send(text.slice(0, half), { fin: false });
      ws.send(text.slice(half), { fin: true });
    } else {
      ws.send(text);
    }
    left--;
  }
}

function fail(why) {
  console.error(why);
  process.exit(1);
}

ws.on("open", () => {
  if (!ws.extensions.includes("permessage-deflate")) fail("no compression was agreed on");
  send();
});
ws.on("message", (got) => {
  const text = got.toString();
  if (text.startsWith("put in")) return;
  if (text !== expected.shift()) fail(`another message came: ${text.slice(0, 100)}`);
  send();
  if (left === 0 && expected.length === 0) ws.close(1000);
});
ws.on("error", (error) => fail(error));
ws.on("close", (code) => process.exit(code === 1000 ? 0 : 1));
