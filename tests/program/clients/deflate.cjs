// Sessions of Node's ws with permessage-deflate: deflate.cjs URL [default]
// Each way to offer it, or only the way that is the library's default, with a message of several reads.
const { once } = require("events");
const WebSocket = require("ws");

// more than the largest window, which is 32 KiB
const large = (length) => Buffer.from(Array.from({ length }, (_, i) => ((i * i) >>> 7) & 255));

async function session(url, perMessageDeflate, LARGE = large(40000)) {
  const ws = new WebSocket(url, { perMessageDeflate });
  const next = (event) => once(ws, event);
  await next("open");
  const name = `${JSON.stringify(perMessageDeflate)}, agreed: ${ws.extensions}`;
  if (!ws.extensions.startsWith("permessage-deflate")) throw new Error(`${name}: no compression`);
  const echoes = async (whole, fragments = [whole]) => {
    fragments.forEach((fragment, i) => ws.send(fragment, { fin: i === fragments.length - 1, compress: true }));
    const [got] = await next("message");
    if (Buffer.compare(got, Buffer.from(whole)) !== 0) throw new Error(`${name}: ${whole.length} sent, ${got.length} got`);
  };
  for (const message of ["", "Hello", "Hello", "é".repeat(1000), Buffer.alloc(0), LARGE, LARGE, "Hello"]) {
    await echoes(message);
  }
  await echoes("one, two, three", ["one, ", "", "two, ", "three"]);
  await echoes(LARGE, [LARGE.subarray(0, 1000), LARGE.subarray(1000)]);
  ws.close(1000);
  await next("close");
}

async function main(url, standard) {
  if (standard) {
    await session(url, { threshold: 0 }, large(140000));
    return;
  }
  for (let server = 9; server <= 15; server++) {
    for (const client of [server, 24 - server]) {
      for (const [serverNoContextTakeover, clientNoContextTakeover] of [[false, false], [false, true], [true, false], [true, true]]) {
        await session(url, {
          serverNoContextTakeover,
          clientNoContextTakeover,
          serverMaxWindowBits: server,
          clientMaxWindowBits: client,
          threshold: 0,
        });
      }
    }
  }
}

main(...process.argv.slice(2)).catch((error) => {
  console.error(error);
  process.exit(1);
});
