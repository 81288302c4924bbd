/**
 * Where a process looks for free ports, so that it does not meet others who look at the same moment: a port is known to be free only
 * while it is held, and whoever is to listen on it takes it a moment later.
 */

import { randomInt } from 'node:crypto';
import type { Random } from './contracts.ts';

/**
 * Where a free port is looked for: below those that kernels give to outgoing connections (from 32,768 on Linux, 49,152
 * elsewhere). One of these could be taken between the claim and the listening.
 */
export const FREE_PORTS: { readonly first: 20_000; readonly count: 12_000 } = { first: 20_000, count: 12_000 };

/** Has no divisor in common with the count of ports, so that so many process numbers in a row lead to as many ports. */
const PLACE_STEP = 7_919;
/** The first processes of a container. Several may share one network, and all have the same numbers. */
const CONTAINER_PID_MAX = 100;

/**
 * Where a process looks, by its number. Two nodes that start at one moment might draw the same port, and each find it free while the
 * other has let it go for its workers; numbers that are near each other lead to other ports. In a container the number says nothing, and
 * chance has to do.
 */
export function placesOf(pid: number, chance: (bound: number) => number): Pick<Random, 'integer'> {
  let drawn = 0;
  let start: number | undefined;
  return {
    integer: (bound) => {
      start ??= pid < CONTAINER_PID_MAX ? chance(bound) : pid * PLACE_STEP;
      return (start + drawn++) % bound;
    },
  };
}

/** Of this process. */
export const ownPlaces: Pick<Random, 'integer'> = placesOf(process.pid, (bound) => randomInt(bound));
