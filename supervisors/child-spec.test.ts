import t from 'tap';

import type { AnyBehavior } from '../runtime/index.ts';
import { checkChildSpecs, type ChildSpec, childSpec, completeSpec, completeSpecs } from './child-spec.ts';
import { LIMITS } from './limits.ts';

const behavior: AnyBehavior = { name: 'b', init: () => null };
const start = { behavior };

t.test('the defaults are OTP’s', async (t) => {
  t.match(completeSpec({ id: 'w', start }), {
    restart: 'permanent',
    shutdown: 5_000,
    type: 'worker',
    significant: false,
  });
  t.match(completeSpec({ id: 's', start, type: 'supervisor' }), { shutdown: 'infinity' });
});

t.test('what is given is kept', async (t) => {
  const spec: ChildSpec = {
    id: 'w',
    start,
    restart: 'transient',
    shutdown: 'brutal_kill',
    type: 'worker',
    significant: true,
  };
  t.strictSame(completeSpec(spec), spec);
  t.strictSame(childSpec('w', behavior, 1, { restart: 'transient', options: { name: 'n' } }), {
    id: 'w',
    start: { behavior, args: 1, options: { name: 'n' } },
    restart: 'transient',
  });
});

const wrong: [string, object, RegExp][] = [
  ['an empty id', { id: '' }, /"id"/],
  ['an id that is no string', { id: 7 }, /"id"/],
  ['no start', { start: undefined }, /"start.behavior"/],
  ['a behaviour without init', { start: { behavior: {} } }, /"start.behavior"/],
  ['an unknown restart', { restart: 'always' }, /"restart" expected permanent, transient, temporary, got always/],
  ['an unknown type', { type: 'boss' }, /"type"/],
  ['a shutdown of 0', { shutdown: 0 }, /"shutdown"/],
  ['a shutdown that is too long', { shutdown: LIMITS.shutdownMsMax + 1 }, /"shutdown"/],
  ['a significance that is no boolean', { significant: 'very' }, /"significant" expected a boolean/],
  ['a permanent child that is significant', { significant: true }, /"significant" expected false for a permanent/],
  ['an unknown shutdown', { shutdown: 'soon' }, /"shutdown"/],
];
for (const [name, change, message] of wrong) {
  t.test(`${name} is refused by the name of the field`, async (t) => {
    t.throws(() => completeSpec({ id: 'w', start, ...change } as ChildSpec), { message });
  });
}

t.test('an id may be there once', async (t) => {
  const spec = { id: 'w', start };
  t.throws(() => completeSpecs([spec, spec]), /the id 'w' twice/);
  t.throws(() => completeSpecs('w' as never), TypeError);
});

t.test('a significant child needs a supervisor that heeds it', async (t) => {
  const specs: ChildSpec[] = [{ id: 'w', start, restart: 'temporary', significant: true }];
  t.match(checkChildSpecs(specs), { error: 'SUP_BAD_SPEC', message: /"autoShutdown" is never/ });
  t.strictSame(checkChildSpecs(specs, 'any_significant'), { ok: true });
  t.strictSame(checkChildSpecs(specs, 'all_significant'), { ok: true });
});

t.test('specifications are checked without a supervisor, and a bug in the check is not one in them', async (t) => {
  t.match(checkChildSpecs([{ id: 'w', start }, null as never]), {
    error: 'SUP_BAD_SPEC',
    message: /expected an object/,
  });
  const trap = Object.defineProperty({ id: 'w', start }, 'type', {
    get() {
      throw new Error('not a matter of specifications');
    },
  });
  t.throws(() => checkChildSpecs([trap]), /not a matter/);
});

t.test('more children than a supervisor may have are refused', async (t) => {
  const specs = Array.from({ length: LIMITS.childCountMax + 1 }, (_, index) => ({ id: `${index}`, start }));
  t.throws(() => completeSpecs(specs), /at most 10000, got 10001/);
  t.equal(completeSpecs(specs.slice(1)).length, LIMITS.childCountMax);
});
