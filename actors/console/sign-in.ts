/**
 * Who may change something from the page: whoever knows the token, which lies in the store directory for the node's user
 * alone, and which `blindbeam console` tells over the admin socket. It is exchanged once for a cookie.
 *
 * A new token with each start of the node. Knows no HTTP.
 */

import { createHash, timingSafeEqual } from 'node:crypto';
import { renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Clock, Random } from '../../runtime/index.ts';
import { fullBucket, takeToken, type TokenBucket } from '../rate-limit.ts';
import { CONSOLE_LIMITS } from './limits.ts';

const TRY_RULE = { perSecond: CONSOLE_LIMITS.triesPerSecond, burst: CONSOLE_LIMITS.triesBurst };

export class SignIns {
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #tries: TokenBucket;
  readonly token: string;
  /** Hashes of cookies, oldest first, with the time until which they hold. */
  readonly #known: Map<string, number> = new Map();

  constructor(clock: Clock, random: Random) {
    this.#clock = clock;
    this.#random = random;
    this.#tries = fullBucket(TRY_RULE, clock.monotonicMs());
    this.token = this.#draw();
  }

  /** @returns What the cookie is to hold; `'wrong'`; `'later'` after too many wrong ones. */
  signIn(token: string): { readonly cookie: string } | 'wrong' | 'later' {
    const nowMs = this.#clock.monotonicMs();
    // Hashes have one length, and comparing them tells nothing of where two tokens differ.
    const isRight = timingSafeEqual(digest(token), digest(this.token));
    // Only wrong ones are counted: nobody else on the machine can keep out who has the token.
    if (!isRight) return takeToken(this.#tries, TRY_RULE, nowMs) > 0 ? 'later' : 'wrong';
    const cookie = this.#draw();
    this.#known.set(hash(cookie), nowMs + CONSOLE_LIMITS.signInMs);
    if (this.#known.size > CONSOLE_LIMITS.signInsMax) this.#known.delete(this.#known.keys().next().value!);
    return { cookie };
  }

  holds(cookie: string | undefined): boolean {
    if (cookie === undefined) return false;
    const untilMs = this.#known.get(hash(cookie));
    return untilMs !== undefined && this.#clock.monotonicMs() < untilMs;
  }

  signOut(cookie: string | undefined): void {
    if (cookie !== undefined) this.#known.delete(hash(cookie));
  }

  #draw(): string {
    return Buffer.from(this.#random.bytes(32)).toString('base64url');
  }
}

/** Writes the token where the node's user finds it. Returns its removal. */
export function keepToken(directory: string, token: string): () => void {
  const path = join(directory, 'console.token');
  // Beside and renamed, so that it never lies in a file that others may read.
  rmSync(`${path}.new`, { force: true });
  writeFileSync(`${path}.new`, `${token}\n`, { mode: 0o600, flag: 'wx' });
  renameSync(`${path}.new`, path);
  return () => rmSync(path, { force: true });
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}

function hash(text: string): string {
  return digest(text).toString('hex');
}
