"use strict";

// Whatever a peer sends reaches the page by textContent alone.

const element = (id) => document.getElementById(id);
const MOST_LINES = 1000;
const MOST_CHARACTERS = 4096;
let socket = null;

element("url").value = `${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/`;

function log(kind, what, detail) {
  const list = element("log");
  const follows = list.scrollHeight - list.scrollTop - list.clientHeight < 40;
  const line = document.createElement("li");
  line.className = kind;
  const now = new Date();
  const time = document.createElement("time");
  time.dateTime = now.toISOString();
  time.textContent = `${now.toTimeString().slice(0, 8)}.${String(now.getMilliseconds()).padStart(3, "0")}`;
  line.append(time, part("what", what), part("detail", shortened(detail)));
  list.append(line);
  while (list.childElementCount > MOST_LINES) list.firstElementChild.remove();
  if (follows) list.scrollTop = list.scrollHeight;
}

function part(name, text) {
  const span = document.createElement("span");
  span.className = name;
  span.textContent = text;
  return span;
}

function shortened(text) {
  if (text.length <= MOST_CHARACTERS) return text;
  return `${text.slice(0, MOST_CHARACTERS)}… (${text.length.toLocaleString("en")} characters in all)`;
}

function show(state) {
  element("state").dataset.state = state;
  element("state").textContent = state === "closed" ? "not connected" : state;
  element("connect").textContent = state === "closed" ? "Connect" : "Connect anew";
  for (const form of ["text-form", "binary-form", "close-form"]) {
    element(form).querySelector("button").disabled = state !== "open";
  }
}

function connect() {
  const url = element("url").value.trim();
  const subprotocols = element("subprotocols").value.split(",").map((name) => name.trim()).filter(Boolean);
  const earlier = socket;
  let mine;
  try {
    mine = new WebSocket(url, subprotocols);
  } catch (error) {
    log("bad", "error", error.message);
    return;
  }
  if (earlier && earlier.readyState < WebSocket.CLOSING) earlier.close(1000, "connecting anew");
  socket = mine;
  mine.binaryType = "arraybuffer";
  const started = performance.now();
  show("connecting");
  log("info", "connecting", url);
  const ifCurrent = (state) => { if (socket === mine) show(state); };

  mine.onopen = () => {
    ifCurrent("open");
    const agreed = [
      `after ${(performance.now() - started).toFixed(1)} ms`,
      `subprotocol ${mine.protocol || "none"}`,
      `extensions ${mine.extensions || "none"}`,
    ];
    log("info", "open", agreed.join(", "));
  };
  mine.onmessage = ({ data }) => {
    if (typeof data === "string") log("got", "◀ text", data);
    else log("got", "◀ binary", `${bytes(data.byteLength)}: ${toHex(data)}`);
  };
  mine.onerror = () => log("bad", "error", "The connection failed; a browser does not tell a page why.");
  mine.onclose = ({ code, reason, wasClean }) => {
    ifCurrent("closed");
    const how = wasClean ? "clean" : "not clean";
    log(wasClean ? "info" : "bad", "closed", `${code}${reason ? ` "${reason}"` : ""}, ${how}`);
  };
}

function toHex(buffer) {
  const shown = new Uint8Array(buffer, 0, Math.min(buffer.byteLength, 1024));
  const hex = Array.from(shown, (byte) => byte.toString(16).padStart(2, "0")).join(" ");
  return buffer.byteLength > shown.length ? `${hex} …` : hex;
}

function fromHex(text) {
  const digits = text.replace(/\s+/g, "");
  const wrong = digits.match(/[^0-9a-f]/iu);
  if (wrong) throw new Error(`"${wrong[0]}" is no hex digit.`);
  if (digits.length % 2) throw new Error("A byte takes two hex digits; one is left over.");
  return Uint8Array.from(digits.match(/../g) ?? [], (byte) => parseInt(byte, 16));
}

const bytes = (count) => (count === 1 ? "1 byte" : `${count} bytes`);

function onSubmit(form, act) {
  element(form).addEventListener("submit", (event) => {
    event.preventDefault();
    act();
  });
}

onSubmit("connect-form", connect);

onSubmit("text-form", () => {
  const field = element("text");
  socket.send(field.value);
  log("sent", "▶ text", field.value);
  field.select();
});

onSubmit("binary-form", () => {
  const problem = element("binary-problem");
  try {
    const data = fromHex(element("binary").value);
    problem.textContent = "";
    socket.send(data);
    log("sent", "▶ binary", `${bytes(data.length)}: ${toHex(data.buffer)}`);
  } catch (error) {
    problem.textContent = error.message;
  }
});

onSubmit("close-form", () => {
  const code = element("code").value.trim();
  const reason = element("reason").value;
  try {
    if (!code && reason) throw new Error("A reason needs a code.");
    if (code) socket.close(Number(code), reason);
    else socket.close();
    show("closing");
    log("sent", "▶ close", code ? `${code}${reason ? ` "${reason}"` : ""}` : "no code");
  } catch (error) {
    log("bad", "error", error.message);
  }
});

element("clear").addEventListener("click", () => element("log").replaceChildren());

show("closed");
element("connect").focus();
