// Chromium on the test page, driven through its DevTools pipe: browser.cjs CHROMIUM PROFILE PAGE
const { spawn } = require("node:child_process");

const [, , chromium, profile, page] = process.argv;
const flags = [
  "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
  "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage", "--remote-debugging-pipe",
  `--user-data-dir=${profile}`, "about:blank",
];
const browser = spawn(chromium, flags, { stdio: ["ignore", "ignore", "ignore", "pipe", "pipe"] });
browser.on("error", (error) => fail(error));
const [, , , to, from] = browser.stdio;
const waiting = new Map();
let last = 0;
let rest = "";
from.setEncoding("utf8");
from.on("data", (data) => {
  const parts = (rest + data).split("\0");
  rest = parts.pop();
  for (const message of parts.map((part) => JSON.parse(part))) waiting.get(message.id)?.(message);
});

function call(method, params = {}, sessionId = undefined) {
  const id = ++last;
  to.write(JSON.stringify({ id, method, params, sessionId }) + "\0");
  return new Promise((resolve, reject) =>
    waiting.set(id, ({ result, error }) => (error ? reject(new Error(`${method}: ${error.message}`)) : resolve(result))));
}

// What runs in the page: first the page's own forms, as a person uses them, then a WebSocket of its own.
async function session() {
  const element = (id) => document.getElementById(id);
  const until = async (what, holds) => {
    for (let i = 0; !holds(); i++) {
      if (i > 1000) throw new Error(`waited for ${what}; the log: ${element("log").innerText}`);
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  };
  const submit = (form) => element(form).requestSubmit();
  const state = () => element("state").dataset.state;
  const logged = (text) => element("log").textContent.includes(text);
  await until("the page", () => /^wss?:/.test(element("url").value));
  submit("connect-form");
  await until("the connection", () => state() === "open");
  element("text").value = "from the page";
  submit("text-form");
  element("binary").value = "00 ff 7f";
  submit("binary-form");
  await until("the echoes", () => (element("log").textContent.match(/from the page/g) ?? []).length >= 2);
  element("code").value = "3999";
  element("reason").value = "enough";
  submit("close-form");
  await until("the end", () => state() === "closed" && logged("3999"));

  const ws = new WebSocket(element("url").value, "chat");
  ws.binaryType = "arraybuffer";
  const next = (event) => new Promise((resolve, reject) => {
    ws.addEventListener(event, resolve, { once: true });
    ws.addEventListener("error", () => reject(new Error("the WebSocket failed")), { once: true });
  });
  await next("open");
  const pattern = (length) => new Uint8Array(length).map((_, i) => i % 251);
  const echoes = async (message) => {
    ws.send(message);
    const { data } = await next("message");
    const same = typeof message === "string"
      ? data === message
      : data.byteLength === message.length && new Uint8Array(data).every((byte, i) => byte === message[i]);
    if (!same) throw new Error(`the echo of ${message.length} is another`);
  };
  for (const length of [0, 125, 126, 65535, 65536]) {
    await echoes("é".repeat(Math.floor(length / 2)) + "a".repeat(length % 2));
    await echoes(pattern(length));
  }
  await echoes(pattern(16 << 20));
  ws.close(4001, "done, thank you");
  const { code, wasClean } = await next("close");
  if (code !== 4001 || !wasClean) throw new Error(`closed with ${code}, clean: ${wasClean}`);
}

async function main() {
  const { targetId } = await call("Target.createTarget", { url: page });
  const { sessionId } = await call("Target.attachToTarget", { targetId, flatten: true });
  const evaluate = async (expression) => {
    const { result, exceptionDetails } =
      await call("Runtime.evaluate", { expression, awaitPromise: true, returnByValue: true }, sessionId);
    if (exceptionDetails) throw new Error(exceptionDetails.exception?.description ?? exceptionDetails.text);
    return result.value;
  };
  for (let i = 0; !(await evaluate("document.readyState === 'complete' && !!document.getElementById('url')")); i++) {
    if (i > 1000) throw new Error("the page did not load");
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  await evaluate(`(${session})()`);
  await call("Browser.close");
}

function fail(error) {
  console.error(error);
  browser.kill();
  process.exit(1);
}

main().then(() => process.exit(0), fail);
