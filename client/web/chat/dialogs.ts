/**
 * What is not part of every moment: devices, settings, groups, the safety number. Each is a dialog that reads what it shows when
 * it is opened.
 */

import type { Audience, GroupInfo, HistoryItem, MessageBody, StrangersPolicy } from '../index.ts';
import { button, make } from './dom.ts';
import { fileParts } from './message-view.ts';
import type { Session } from './session.ts';
import { phoneIn } from './words.ts';

/** Shows a dialog until it is closed; Escape closes it. */
function show(title: string, ...content: readonly (Node | string | undefined)[]): HTMLDialogElement {
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
function submitting(
  session: Session,
  dialog: () => HTMLDialogElement,
  work: () => Promise<unknown>,
): (event: Event) => void {
  return (event) => {
    event.preventDefault();
    void session.attempt(work).then((went) => went && dialog().close());
  };
}

function numbersIn(text: string): string[] {
  return text
    .split(/[\n,;]/)
    .map(phoneIn)
    .filter((number) => number !== '');
}

export function openNewGroup(session: Session): void {
  const title = make('input', { name: 'title', required: true, maxLength: 100 });
  const people = make('textarea', { name: 'people', rows: 4, placeholder: '+4915100000002\n+4915100000003' });
  const create = async (): Promise<void> => {
    const group = await session.client.groups.create(title.value, numbersIn(people.value));
    await session.openPeer(group.name);
  };
  const dialog: HTMLDialogElement = show(
    'New group',
    make(
      'form',
      { onsubmit: submitting(session, () => dialog, create) },
      make('label', {}, 'Name', title),
      make('label', {}, 'Numbers, one on a line', people),
      make('button', { className: 'primary' }, 'Create'),
    ),
  );
}

/** Whom a message is passed on to: one of the chats, or a number. */
export function openForward(session: Session, peer: string, item: HistoryItem): void {
  const pass = async (to: string): Promise<void> => {
    const went = await session.attempt(async () => session.client.forward(peer, item.id, to));
    if (!went) return;
    dialog.close();
    await session.attempt(() => session.openPeer(to));
  };
  const chats = session.chats.filter((chat) => chat.peer !== peer);
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

/** Who is in a group, and what one may do there. */
export function openGroup(session: Session, group: GroupInfo): void {
  const { groups, account } = session.client;
  const isAdmin = group.role === 'admin';
  const again = async (work: () => Promise<unknown>): Promise<void> => {
    if (await session.attempt(work)) dialog.close();
  };
  const members = group.members.map(({ user, phone, role }) => {
    const name = user === account!.user ? 'You' : (phone ?? `User ${user}`);
    const isOther = user !== account!.user;
    return make(
      'p',
      { className: 'row' },
      make('span', {}, name, role === 'admin' && make('small', {}, ' admin')),
      isAdmin && isOther && button('Remove', () => again(() => groups.remove(group.name, [user]))),
    );
  });
  const people = make('input', { name: 'people', required: true, placeholder: '+49…' });
  const link = make('div', { className: 'digits' });
  const dialog: HTMLDialogElement = show(
    group.title,
    make('div', { className: 'stack' }, ...members),
    isAdmin
      ? make(
          'form',
          {
            onsubmit: submitting(
              session,
              () => dialog,
              () => groups.add(group.name, numbersIn(people.value)),
            ),
          },
          make('label', {}, 'Add people', people),
          make('button', { className: 'primary' }, 'Add'),
        )
      : '',
    make(
      'p',
      { className: 'row' },
      isAdmin &&
        button('Invite by link', () =>
          session.attempt(async () => (link.textContent = await groups.inviteLink(group.name))),
        ),
      isAdmin &&
        button(group.mode === 'pairwise' ? 'Encrypt once for all' : 'Encrypt for each device', () =>
          again(() => groups.setMode(group.name, group.mode === 'pairwise' ? 'sender-keys' : 'pairwise')),
        ),
      group.role !== undefined && button('Leave', () => again(() => groups.leave(group.name))),
    ),
    link,
  );
}

/** The account's devices; on the first one they are linked and removed. */
export function openDevices(session: Session): void {
  const { client } = session;
  const list = make('div', { className: 'stack' }, 'Asking …');
  const changes = make('div', { className: 'stack' });
  const fill = async (): Promise<void> => {
    const devices = await client.devices();
    // Not by its number: whoever registers again, or restores a backup, has another one.
    const mayChange = devices.some(({ isThis, isPrimary }) => isThis && isPrimary);
    if (changes.childElementCount === 0) changes.append(mayChange ? linkForm : hint);
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
  const dialog: HTMLDialogElement = show('Devices', list, changes);
  void session.attempt(fill);
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

/** The number that both compare over a channel they trust. */
export async function openSafety(session: Session, peer: string, title: string): Promise<void> {
  const safety = await session.client.safetyNumber(peer);
  if (safety === undefined) return session.tell(`There is no safety number before the first message with ${title}.`);
  const confirm = (): Promise<unknown> => session.client.confirmSafetyNumber(peer, safety.digits);
  const dialog: HTMLDialogElement = show(
    'Safety number',
    make(
      'p',
      {},
      `Compare these digits with ${title}, by a call or side by side. If they are the same at both ends, nobody is in between.`,
    ),
    make('p', { className: 'digits' }, safety.text),
    make('p', {}, safety.level === 'verified' ? '✓ You have compared it.' : 'Not compared yet.'),
    button('They are the same', () => session.attempt(confirm).then(() => dialog.close()), 'primary'),
  );
}
