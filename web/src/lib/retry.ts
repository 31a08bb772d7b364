// Code that is loaded when it is first needed, over a connection that may be down just then.

/**
 * Calls load until it succeeds, at most tries times, a little longer apart
 * each time (1 s, 2 s, ... 5 s); then it fails with the last error.
 */
export async function persistently<T>(load: () => Promise<T>, tries = 60, unit = 1000): Promise<T> {
  for (let n = 1; ; n++) {
    try {
      return await load();
    } catch (e) {
      if (n >= tries) throw e;
      await new Promise((done) => setTimeout(done, Math.min(n, 5) * unit));
    }
  }
}
