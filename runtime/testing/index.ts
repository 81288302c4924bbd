/**
 * The testing kit, for the tests of your own actors.
 *
 * From small to large: `TestProcess` runs one behaviour alone and records what it does to the world; `createTestNode` and
 * `createTestWorkers` run real actors in virtual time, step by step; `simulate` and `explore` run a whole program under
 * seeds, with faults, and give back the seed that broke it.
 *
 * ```ts
 * import type { Behavior } from 'blindbeam/runtime';
 * import { failOn, TestProcess } from 'blindbeam/runtime/testing';
 *
 * // Passes on what it gets, and tries again later if there was no room.
 * const relay: Behavior<null, void, string> = {
 *   name: 'relay',
 *   init: () => null,
 *   handleCast(text, _state, ctx) {
 *     if (ctx.cast('printer', text) === 'full') ctx.sendAfter(50, text);
 *   },
 *   handleInfo: (text, _state, ctx) => void ctx.cast('printer', text),
 * };
 *
 * const test = await new TestProcess(relay, { onSend: failOn(1, 'full', 'ok') }).start(undefined);
 * console.log((await test.cast('page 1')).map(({ type }) => type));
 * console.log((await test.advance(50)).map(({ type }) => type));
 * ```
 *
 * It prints:
 *
 * ```text
 * [ 'cast', 'timer' ]
 * [ 'cast' ]
 * ```
 */

export { createSeededRandom } from './seeded-random.ts';
export {
  explore,
  type Faults,
  formatResult,
  simulate,
  type Simulation,
  type SimulationOptions,
  type SimulationResult,
  type Verdict,
} from './simulation.ts';
export { createMemoryLog, createTestNode, type LogEntry, type TestNode, type TestNodeOptions } from './test-node.ts';
export { type Effect, failOn, TestProcess, type World } from './test-process.ts';
export { createTestWorkers, type Fate, SimNetwork, type TestWorkers } from './test-workers.ts';
export { ManualLoop, VirtualClock } from './virtual-clock.ts';
