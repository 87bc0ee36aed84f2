/* Server-sent events over fetch: EventSource cannot send a token. Reconnects, and resumes by id. */

const SILENT_MS = 5000;

export class Stream {
  #abort = null;
  #lastId = "";

  /* told: { event(name, value), live(), lost(why), refused(status, why): true to stop trying } */
  constructor(told) {
    this.told = told;
    this.token = "";
  }

  open(address) {
    this.#abort?.abort();
    this.#lastId = "";
    const abort = (this.#abort = new AbortController());
    this.#run(address, abort.signal);
  }

  async #run(address, over) {
    let wait = 500;
    while (!over.aborted) {
      const one = new AbortController();
      const end = () => one.abort();
      over.addEventListener("abort", end);
      let why = "the connection ended";
      try {
        const headers = { Accept: "text/event-stream" };
        if (this.#lastId) headers["Last-Event-ID"] = this.#lastId;
        if (this.token) headers.Authorization = "Bearer " + this.token;
        const answer = await fetch(address, { headers, signal: one.signal, cache: "no-store" });
        if (answer.ok) {
          wait = 500;
          this.told.live();
          await this.#read(answer.body.getReader(), one);
        } else {
          why = (await answer.json().catch(() => ({}))).detail || "status " + answer.status;
          if (!over.aborted && this.told.refused(answer.status, why)) return;
          wait = Math.max(wait, 1000 * Number(answer.headers.get("Retry-After") || 0));
        }
      } catch (error) {
        why = one.signal.aborted ? "no data for 5 seconds" : error.message;
      } finally {
        over.removeEventListener("abort", end);
        one.abort();
      }
      if (over.aborted) return;
      this.told.lost(why);
      await new Promise((go) => setTimeout(go, wait * (0.75 + Math.random() / 2)));
      wait = Math.min(2 * wait, 8000);
    }
  }

  async #read(reader, one) {
    const decoder = new TextDecoder();
    let text = "";
    for (;;) {
      const silent = setTimeout(() => one.abort(), SILENT_MS);
      const { value, done } = await reader.read().finally(() => clearTimeout(silent));
      if (done) return;
      text += decoder.decode(value, { stream: true });
      let end;
      while ((end = text.indexOf("\n\n")) >= 0) {
        this.#take(text.slice(0, end));
        text = text.slice(end + 2);
      }
    }
  }

  #take(block) {
    let name = "message";
    let value = "";
    let id = "";
    for (const line of block.split("\n")) {
      if (line.startsWith("event: ")) name = line.slice(7);
      else if (line.startsWith("data: ")) value += line.slice(6);
      else if (line.startsWith("id: ")) id = line.slice(4);
    }
    if (value) this.told.event(name, JSON.parse(value));
    if (id) this.#lastId = id;
  }
}
