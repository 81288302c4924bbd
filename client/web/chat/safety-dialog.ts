/**
 * The safety number: compared over a channel that both trust, and what is done about keys that have changed.
 */

import type { PeerSafety } from '../../index.ts';
import { browserRandom } from '../system.ts';
import { comparisonOf } from './comparison.ts';
import { show } from './dialogs.ts';
import { button, make } from './dom.ts';
import { qrNode } from './qr-view.ts';
import type { Session } from './session.ts';

/** The number that both compare; once compared keys have changed, it takes the other's number to say that it is the same. */
export async function openSafety(session: Session, peer: string, title: string): Promise<void> {
  const safety = await session.client.safetyNumber(peer);
  if (safety === undefined) return session.tell(`There is no safety number before the first message with ${title}.`);
  if (safety.level === 'broken') openChanged(session, peer, title, safety);
  else openNumber(session, peer, title, safety);
}

function openNumber(session: Session, peer: string, title: string, { digits, text, code, level }: PeerSafety): void {
  const confirm = (): Promise<unknown> => session.client.confirmSafetyNumber(peer, digits);
  const dialog: HTMLDialogElement = show(
    'Safety number',
    make(
      'p',
      {},
      `Compare these digits with ${title}, by a call or side by side. If they are the same at both ends, nobody is in between.`,
    ),
    make('p', { className: 'digits' }, text),
    qrNode(code, 'The safety number as a picture, for a device that scans it'),
    make('p', {}, level === 'verified' ? '✓ You have compared it.' : 'Not compared yet.'),
    button('They are the same', () => session.attempt(confirm).then(() => dialog.close()), 'primary'),
  );
}

function openChanged(session: Session, peer: string, title: string, { digits }: PeerSafety): void {
  const self = session.client.account!.user;
  const comparison = comparisonOf(digits, self < peer, (bound) => browserRandom.integer(bound));
  const outcome = make('p', { className: 'problem', role: 'alert' });
  const fields = ['First group that is missing', 'Second group that is missing'].map((label) => {
    const field = make('input', { required: true, inputMode: 'numeric', autocomplete: 'off', maxLength: 9 });
    return { field, line: make('label', {}, label, field) };
  });
  const compare = async (): Promise<void> => {
    const whole = comparison.fill(fields.map(({ field }) => field.value));
    if (await session.client.confirmSafetyNumber(peer, whole)) return dialog.close();
    outcome.textContent = `That is not the same. If ${title} reads it to you once more and it still differs, somebody may stand between you.`;
  };
  const onsubmit = (event: Event): void => {
    event.preventDefault();
    void session.attempt(compare);
  };
  const dialog: HTMLDialogElement = show(
    'The safety number has changed',
    make(
      'p',
      {},
      `You had compared it with ${title}, and it is another one now: they have a new device, or somebody stands between you. Ask them, by a call or side by side, for their number, and fill in what is missing here.`,
    ),
    make('p', { className: 'digits' }, comparison.text),
    make(
      'form',
      { onsubmit },
      ...fields.map(({ line }) => line),
      outcome,
      make('button', { className: 'primary' }, 'Compare'),
    ),
    button('Go on without comparing', () => session.attempt(() => session.goOnWith(peer)).then(() => dialog.close())),
  );
}
