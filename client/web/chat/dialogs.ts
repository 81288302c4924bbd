/**
 * What is not part of every moment: devices, settings, what is known of a message. Each is a dialog that reads what it shows when it is opened.
 * Those of groups: `group-dialog.ts`; the safety number: `safety-dialog.ts`.
 */

import { describeCode } from '../index.ts';
import type { Audience, HistoryItem, MessageBody, StrangersPolicy, TransferInfo } from '../index.ts';
import { button, make } from './dom.ts';
import { fileParts } from './files.ts';
import type { OpenChat, Session } from './session.ts';
import { phoneIn, STATE_MARKS } from './words.ts';

/** Shows a dialog until it is closed; Escape closes it. */
export function show(title: string, ...content: readonly (Node | string | undefined)[]): HTMLDialogElement {
  const dialog = make('dialog', { onclose: () => dialog.remove() }, make('h2', {}, title), ...content);
  dialog.append(
    make(
      'p',
      { className: 'row' },
      make('span'),
      button('Close', () => dialog.close()),
    ),
  );
  document.body.append(dialog);
  dialog.showModal();
  return dialog;
}

/** Does something that the dialog is for, and closes it when that went well. */
export function submitting(
  session: Session,
  dialog: () => HTMLDialogElement,
  work: () => Promise<unknown>,
): (event: Event) => void {
  return (event) => {
    event.preventDefault();
    void session.attempt(work).then((went) => went && dialog().close());
  };
}

/** Whom a message is passed on to: one of the chats, or a number. */
export function openForward(session: Session, peer: string, item: HistoryItem): void {
  const pass = async (to: string): Promise<void> => {
    const went = await session.attempt(async () => session.client.forward(peer, item.id, to));
    if (!went) return;
    dialog.close();
    await session.attempt(() => session.openPeer(to));
  };
  const chats = session.chats.filter((chat) => chat.peer !== peer && !chat.isFormerGroup);
  const number = make('input', { name: 'to', required: true, placeholder: '+49…', autocomplete: 'off' });
  const onsubmit = (event: Event): void => {
    event.preventDefault();
    void pass(phoneIn(number.value));
  };
  const dialog: HTMLDialogElement = show(
    'Forward to',
    make('div', { className: 'stack' }, ...chats.map((chat) => button(chat.title, () => pass(chat.peer)))),
    make(
      'form',
      { onsubmit },
      make('label', {}, 'Or a number', number),
      make('button', { className: 'primary' }, 'Forward'),
    ),
  );
}

/** The account's devices; on the first one they are linked and removed. */
export function openDevices(session: Session): void {
  const { client } = session;
  const list = make('div', { className: 'stack' }, 'Asking …');
  const changes = make('div', { className: 'stack' });
  const history = make('div', { className: 'stack' });
  const fill = async (): Promise<void> => {
    const devices = await client.devices();
    // Not by its number: whoever registers again, or restores a backup, has another one.
    const mayChange = devices.some(({ isThis, isPrimary }) => isThis && isPrimary);
    if (changes.childElementCount === 0) changes.append(mayChange ? linkForm : hint);
    const transfers = await client.historyTransfers();
    history.replaceChildren(...(mayChange ? grantsOf(session, transfers, fill) : [askNode(session, transfers)]));
    list.replaceChildren(
      ...devices.map(({ id, isPrimary, isThis }) =>
        make(
          'p',
          { className: 'row' },
          `Device ${id}${isPrimary ? ', the first one' : ''}${isThis ? ', this one' : ''}`,
          mayChange && !isThis && button('Remove', () => session.attempt(() => client.unlinkDevice(id)).then(fill)),
        ),
      ),
    );
  };
  const code = make('textarea', { name: 'code', rows: 5, required: true, spellcheck: false });
  const onsubmit = submitting(
    session,
    () => dialog,
    () => client.approveLink(code.value.trim()),
  );
  const linkForm = make(
    'form',
    { onsubmit },
    make('label', {}, 'Code that the new device shows', code),
    make('button', { className: 'primary' }, 'Link a device'),
  );
  const hint = make('p', {}, 'Devices are linked and removed on the first one.');
  const dialog: HTMLDialogElement = show('Devices', list, history, changes);
  void session.attempt(fill);
}

/** Linked devices that ask for the history, each with the answers. */
function grantsOf(session: Session, transfers: readonly TransferInfo[], fill: () => Promise<void>): HTMLElement[] {
  const { client } = session;
  const asked = transfers.filter(({ direction, state }) => direction === 'out' && state === 'asked');
  return asked.map(({ device }) =>
    make(
      'p',
      { className: 'row' },
      make('span', {}, `Device ${device} asks for the history.`),
      button('Hand it over', () => session.attempt(() => client.approveHistory(device)).then(fill), 'primary'),
      button('Refuse', () => session.attempt(() => client.declineHistory(device)).then(fill)),
    ),
  );
}

/** How a linked device asks for what was written before it was there. */
function askNode(session: Session, transfers: readonly TransferInfo[]): HTMLElement {
  const running = transfers.find(
    ({ direction, state }) => direction === 'in' && state !== 'done' && state !== 'failed',
  );
  if (running?.state === 'asked')
    return make('p', {}, 'The first device is asked for the history: say yes there, under “Devices”.');
  if (running !== undefined)
    return make('p', {}, `The history is on its way: ${running.transferred} of ${running.total} messages.`);
  const ask = button('Ask the first device for the history', async () => {
    const went = await session.attempt(() => session.client.requestHistory());
    if (went) ask.replaceWith(make('p', {}, 'Asked. Say yes on the first device, under “Devices”.'));
  });
  return ask;
}

/** What one may do about somebody: block, and delete what was written. */
export function openPerson(session: Session, { peer, title, standing }: OpenChat): void {
  const { client } = session;
  const isBlocked = standing === 'blocked';
  const close = (work: () => Promise<unknown>) => () => session.attempt(work).then((went) => went && dialog.close());
  const block = (): Promise<void> => (isBlocked ? client.protection.unblock(peer) : client.protection.block(peer));
  const dialog: HTMLDialogElement = show(
    title,
    make(
      'p',
      {},
      'Who is blocked is not told. Messages are deleted in this browser; the other one, and your other devices, keep theirs.',
    ),
    make(
      'p',
      { className: 'row' },
      button(isBlocked ? 'Unblock' : 'Block', close(block)),
      button(
        'Delete the messages here',
        close(() => client.forget(peer)),
      ),
    ),
  );
}

const AUDIENCES: readonly (readonly [Audience, string])[] = [
  ['everyone', 'Everyone'],
  ['contacts', 'People I have written to'],
  ['nobody', 'Nobody'],
];

function audienceField(
  label: string,
  chosen: Audience,
  choose: (audience: Audience) => Promise<unknown>,
  session: Session,
): HTMLElement {
  const options = AUDIENCES.map(([value, text]) => make('option', { value, selected: value === chosen }, text));
  const onchange = (event: Event): void =>
    void session.attempt(() => choose((event.target as HTMLSelectElement).value as Audience));
  return make('label', {}, label, make('select', { onchange }, ...options));
}

function strangersField(session: Session, chosen: StrangersPolicy): HTMLElement {
  const choices: readonly (readonly [StrangersPolicy, string])[] = [
    ['ask', 'wait until I accept them'],
    ['open', 'write like anybody'],
  ];
  const options = choices.map(([value, text]) => make('option', { value, selected: value === chosen }, text));
  const onchange = (event: Event): void => {
    const policy = (event.target as HTMLSelectElement).value as StrangersPolicy;
    void session.attempt(() => session.client.protection.setStrangers(policy));
  };
  return make('label', {}, 'People I have not written with', make('select', { onchange }, ...options));
}

export function openSettings(session: Session): void {
  const { client } = session;
  const fields = make('div', { className: 'stack' });
  fields.append(
    audienceField(
      'Exchange read receipts with',
      client.readReceipts,
      (audience) => client.setReadReceipts(audience),
      session,
    ),
  );
  show('Settings', fields);
  void session.attempt(async () => {
    const { audience } = await client.privacy();
    fields.append(
      audienceField('Who sees when I am here', audience, (chosen) => client.setPrivacy({ audience: chosen }), session),
      strangersField(session, await client.protection.strangers()),
    );
  });
}

/** A file that may be viewed once: as long as the dialog is open, also once more where fetching it failed. */
export function openViewedFile(
  session: Session,
  { text, attachment }: Extract<MessageBody, { readonly kind: 'attachment' }>,
): void {
  show('To be viewed once', make('p', {}, text), ...fileParts(session, attachment));
}

/** Whom a message has reached, or why it has reached nobody, and who reacted how. */
export function openReached(session: Session, { state, failure, members, reactions }: HistoryItem): void {
  const self = session.client.account!.user;
  const nameOf = (user: string): string => (user === self ? 'You' : session.authorOf(user));
  const line = (user: string, word: string): HTMLElement =>
    make('p', { className: 'row' }, make('span', {}, nameOf(user)), make('small', {}, word));
  const list = members.map((member) => line(member.user, STATE_MARKS[member.state][1]));
  if (list.length === 0 && state !== undefined) list.push(make('p', {}, STATE_MARKS[state][1]));
  if (failure !== undefined) list.push(make('p', { className: 'problem' }, describeCode(failure)));
  show(
    'About this message',
    make('div', { className: 'stack' }, ...list, ...reactions.map(({ author, emoji }) => line(author, emoji))),
  );
}
