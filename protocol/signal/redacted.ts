/**
 * The base of every object here that holds a secret: it does not print.
 *
 * Covers what leaks by accident: `JSON.stringify`, `console.log` and `util.inspect` in Node, string conversion. It is
 * no defence against code that reads the fields, nor against a browser's object viewer; see `SECURITY.md`.
 */

export abstract class Redacted {
  toString(): string {
    return `[${this.constructor.name} redacted]`;
  }

  toJSON(): string {
    return this.toString();
  }
}

/** Node's inspection hook, by its registered symbol, so that nothing of Node is imported. */
Object.defineProperty(Redacted.prototype, Symbol.for('nodejs.util.inspect.custom'), {
  value(this: Redacted): string {
    return this.toString();
  },
});
