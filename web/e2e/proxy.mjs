// A cable between the browser and Norn that a test can pull out and plug in.
import net from "node:net";

/** Forwards bytes to target (a URL) until cut; resolves to {url, cut, mend, close}. */
export async function cable(target) {
  const { hostname, port } = new URL(target);
  const open = new Set();
  let whole = true;
  const server = net.createServer((client) => {
    if (!whole) return client.destroy();
    const norn = net.connect(Number(port), hostname);
    for (const [from, to] of [[client, norn], [norn, client]]) {
      open.add(from);
      from.on("error", () => to.destroy());
      from.on("close", () => {
        open.delete(from);
        to.destroy();
      });
      from.pipe(to);
    }
  });
  await new Promise((done, failed) => server.once("error", failed).listen(0, "127.0.0.1", done));
  const cut = () => {
    whole = false;
    for (const s of open) s.destroy();
  };
  return {
    url: `http://127.0.0.1:${server.address().port}`,
    cut,
    mend: () => (whole = true),
    close: () => {
      cut();
      server.close();
    },
  };
}
