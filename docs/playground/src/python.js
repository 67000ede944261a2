// Questions to the worker. One is under way at a time; of each kind that replaces itself (`check`,
// a tab's content) only the newest waits, so that typing never runs behind.

const PATIENCE = 60_000; // then the worker is started anew

export class Python {
  constructor(on) {
    this.on = on;
    this.next = 0;
    this.waiting = [];
    this.start();
  }

  start() {
    this.ready = false;
    this.current = null;
    this.worker = new Worker("worker.js", { type: "module" });
    this.worker.onmessage = ({ data }) => this.hear(data);
    this.worker.onerror = (event) => this.on.failed(event.message || "the worker did not start");
  }

  hear(data) {
    if (data.step) this.on.step(data.step);
    else if (data.failed) this.on.failed(data.failed);
    else if (data.ready !== undefined) {
      this.ready = true;
      this.on.ready(data.ready, data.remembered);
      this.feed();
    } else if (this.current?.id === data.id) {
      clearTimeout(this.timer);
      const { resolve } = this.current;
      this.current = null;
      if (data.answer.broken) console.error(data.answer.broken);
      resolve(data.answer);
      this.feed();
    }
  }

  /** The answer; null where a newer question of the same kind took its place. */
  ask(question, { replaces = false } = {}) {
    return new Promise((resolve) => {
      if (replaces) {
        this.waiting = this.waiting.filter((other) => {
          if (!other.replaces || other.question.kind !== question.kind) return true;
          other.resolve(null);
          return false;
        });
      }
      this.waiting.push({ id: this.next++, question, replaces, resolve });
      this.feed();
    });
  }

  feed() {
    if (!this.ready || this.current || !this.waiting.length) return;
    this.current = this.waiting.shift();
    const { id, question } = this.current;
    this.worker.postMessage({ id, question });
    this.timer = setTimeout(() => {
      this.worker.terminate();
      this.current.resolve({ error: "that took longer than a minute, and was stopped" });
      this.on.step("Starting Python again");
      this.start();
    }, PATIENCE);
  }
}
