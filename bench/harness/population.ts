/** Who the clients of a benchmark are, and from where they come. */

import type { PairPhones } from '../generator/control.ts';

/** Country code and a block of numbers. The data directory of a run is new, so any number is free. */
const PHONE_PREFIX = '+49152';
const PHONE_DIGITS = 8;

/** Phone numbers, none twice. @param from - How many have been taken before. */
export function phonesFrom(from: number, count: number): string[] {
  return Array.from({ length: count }, (_, index) => PHONE_PREFIX + String(from + index).padStart(PHONE_DIGITS, '0'));
}

/** Phone numbers of senders, each with a recipient of its own; none twice. */
export function pairsOfPhones(pairs: number): PairPhones[] {
  const phones = phonesFrom(0, 2 * pairs);
  return Array.from({ length: pairs }, (_, index) => ({
    sender: phones[2 * index]!,
    recipient: phones[2 * index + 1]!,
  }));
}

/** 127.0.1.1, 127.0.1.2 …: each has 28,000 ports of its own. */
export function sourcesOf(count: number): string[] {
  return Array.from({ length: count }, (_, index) => `127.0.1.${index + 1}`);
}
