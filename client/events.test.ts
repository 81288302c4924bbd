/**
 * The event hub: listeners, iterators, and what a slow reader loses.
 */

import t from 'tap';
import { EventHub } from './events.ts';
import type { ClientEvent } from './events.ts';
import { LIMITS } from './limits.ts';

const event = (count: number): ClientEvent => ({ type: 'prekeys-uploaded', count });

t.test('listeners hear at once, until they stop', async (t) => {
  const hub = new EventHub();
  const heard: ClientEvent[] = [];
  const stop = hub.subscribe((each) => heard.push(each));
  hub.emit(event(1));
  stop();
  hub.emit(event(2));
  t.same(heard, [event(1)]);
});

t.test('an iterator sees everything from its start, and ends with the hub', async (t) => {
  const hub = new EventHub();
  hub.emit(event(0));
  const events = hub.iterate();
  const early = events.next();
  hub.emit(event(1));
  hub.emit(event(2));
  hub.close();
  t.same((await early).value, event(1));
  const rest: ClientEvent[] = [];
  for await (const each of events) rest.push(each);
  t.same(rest, [event(2)]);
  t.same(await hub.iterate().next(), { done: true, value: undefined });
});

t.test('a slow reader loses the oldest and is told how many', async (t) => {
  const hub = new EventHub();
  const events = hub.iterate();
  for (let n = 0; n < LIMITS.eventQueueCountMax + 5; n += 1) hub.emit(event(n));
  t.same((await events.next()).value, { type: 'events-dropped', count: 5 });
  t.same((await events.next()).value, event(5));
});

t.test('a loop that is left costs nothing any more', async (t) => {
  const hub = new EventHub();
  const events = hub.iterate();
  await events.return!();
  hub.emit(event(1));
  t.same(await events.next(), { done: true, value: undefined });
});
