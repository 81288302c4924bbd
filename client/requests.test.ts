/**
 * Questions and answers: ids, deadlines, the bound, and what a lost connection does to them.
 */

import t from 'tap';
import { attribute } from '../protocol/wire/index.ts';
import type { Stanza } from '../protocol/wire/index.ts';
import { ClientError } from './errors.ts';
import { LIMITS } from './limits.ts';
import { Requests } from './requests.ts';
import { settle, VirtualClock } from './testing/virtual-clock.ts';

const COUNT = { kind: 'prekey-count' } as const;

function setup(): { requests: Requests; asked: number[]; clock: VirtualClock } {
  const clock = new VirtualClock();
  const asked: number[] = [];
  const requests = new Requests((stanza: Stanza) => asked.push(attribute(stanza, 'id') as number), clock);
  requests.connected();
  return { requests, asked, clock };
}

function answer(requests: Requests, id: number, count: number): void {
  requests.receive({ kind: 'iq-result', id, answer: { kind: 'prekeys', count } });
}

t.test('answers find their questions in any order', async (t) => {
  const { requests, clock } = setup();
  const both = [requests.ask(COUNT, 'prekeys'), requests.ask(COUNT, 'prekeys')];
  await settle();
  answer(requests, 2, 20);
  answer(requests, 1, 10);
  answer(requests, 9, 90);
  t.match(await Promise.all(both), [{ count: 10 }, { count: 20 }]);
  t.equal(clock.timerCount, 0);
});

t.test('a refusal keeps the code and the pause of the server', async (t) => {
  const { requests } = setup();
  const refused = requests.ask(COUNT, 'prekeys');
  await settle();
  requests.receive({ kind: 'iq-error', id: 1, code: 'APP_RATE_LIMITED', text: '', retryAfter: 3 });
  await t.rejects(refused, { code: 'APP_RATE_LIMITED', retryAfterMs: 3_000 });
});

t.test('an answer of another kind is CLI_PROTOCOL', async (t) => {
  const { requests } = setup();
  const asked = requests.ask(COUNT, 'prekeys');
  await settle();
  requests.receive({ kind: 'iq-result', id: 1, answer: { kind: 'register', expires: 1 } });
  await t.rejects(asked, { code: 'CLI_PROTOCOL' });
});

t.test('no answer in time is CLI_TIMEOUT, and a late one is nobody’s', async (t) => {
  const { requests, clock } = setup();
  const asked = t.rejects(requests.ask(COUNT, 'prekeys'), { code: 'CLI_TIMEOUT' });
  await clock.advance(LIMITS.requestTimeoutMs);
  await asked;
  t.doesNotThrow(() => answer(requests, 1, 1));
});

t.test('so many are open at a time, and the next waits its turn', async (t) => {
  const { requests, asked } = setup();
  const all = Array.from({ length: LIMITS.requestCountMax + 2 }, () => requests.ask(COUNT, 'prekeys'));
  await settle();
  t.equal(asked.length, LIMITS.requestCountMax);
  for (let id = 1; id <= all.length; id += 1) {
    answer(requests, id, id);
    await settle();
  }
  t.equal((await Promise.all(all)).length, all.length);
});

t.test('a lost connection fails what was asked, and a patient question is asked again on the next', async (t) => {
  const { requests, asked } = setup();
  const once = t.rejects(requests.ask(COUNT, 'prekeys'), { code: 'CLI_DISCONNECTED' });
  const patient = requests.askUntilAnswered(COUNT, 'prekeys');
  await settle();
  requests.disconnected();
  await once;
  await t.rejects(requests.ask(COUNT, 'prekeys'), { code: 'CLI_DISCONNECTED' });
  requests.connected();
  await settle();
  t.same(asked, [1, 2, 3]);
  answer(requests, 3, 7);
  t.match(await patient, { count: 7 });
});

t.test('once stopped nobody waits; started again, they do', async (t) => {
  const { requests } = setup();
  requests.stopped(new ClientError('APP_REPLACED'));
  await t.rejects(requests.askUntilAnswered(COUNT, 'prekeys'), { code: 'APP_REPLACED' });
  requests.started();
  const waiting = requests.askUntilAnswered(COUNT, 'prekeys');
  requests.connected();
  await settle();
  answer(requests, 1, 5);
  t.match(await waiting, { count: 5 });
});

t.test('a pause that the server asked for ends with the client, and leaves no timer', async (t) => {
  for (const way of ['askPatiently', 'askUntilAnswered'] as const) {
    const { requests, clock } = setup();
    const asked = requests[way](COUNT, 'prekeys');
    const code = way === 'askPatiently' ? 'CLI_DISCONNECTED' : 'CLI_CLOSED';
    const rejected = t.rejects(asked, { code }, way);
    await settle();
    requests.receive({ kind: 'iq-error', id: 1, code: 'APP_RATE_LIMITED', text: '', retryAfter: 60 });
    await settle();
    t.equal(clock.timerCount, 1, 'it waits');
    requests.stopped(new ClientError('CLI_CLOSED'));
    await rejected;
    t.equal(clock.timerCount, 0);
  }
});
