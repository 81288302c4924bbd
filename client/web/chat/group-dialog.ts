/**
 * Groups apart from their messages: how one is made, who is in it, and what one may do there.
 */

import type { GroupInfo } from '../index.ts';
import { show, submitting } from './dialogs.ts';
import { button, make } from './dom.ts';
import type { Session } from './session.ts';
import { phoneIn } from './words.ts';

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

/** Who is in a group, and what one may do there. */
export function openGroup(session: Session, group: GroupInfo): void {
  const { groups } = session.client;
  const isAdmin = group.role === 'admin';
  const close = (): void => dialog.close();
  const link = make('p', { className: 'link' });
  const isPairwise = group.mode === 'pairwise';
  const otherMode = isPairwise ? 'sender-keys' : 'pairwise';
  const dialog: HTMLDialogElement = show(
    group.title,
    make('div', { className: 'stack' }, ...group.members.map((member) => memberLine(session, group, member, close))),
    ...(isAdmin ? adminForms(session, group, close) : []),
    make(
      'p',
      { className: 'row' },
      isAdmin &&
        button('Invite by link', () =>
          session.attempt(async () => (link.textContent = await groups.inviteLink(group.name))),
        ),
      isAdmin &&
        group.hasLink &&
        button(
          'Close the link',
          closing(session, close, () => groups.closeLink(group.name)),
        ),
      isAdmin &&
        button(
          isPairwise ? 'Encrypt once for all' : 'Encrypt for each device',
          closing(session, close, () => groups.setMode(group.name, otherMode)),
        ),
      group.role !== undefined &&
        button(
          'Leave',
          closing(session, close, () => groups.leave(group.name)),
        ),
    ),
    link,
  );
}

function memberLine(
  session: Session,
  group: GroupInfo,
  member: GroupInfo['members'][number],
  close: () => void,
): HTMLElement {
  const { groups, account } = session.client;
  const { user, phone, role } = member;
  const isSelf = user === account!.user;
  const mayChange = group.role === 'admin' && !isSelf;
  const otherRole = role === 'admin' ? 'member' : 'admin';
  return make(
    'p',
    { className: 'row' },
    make('span', {}, isSelf ? 'You' : (phone ?? `User ${user}`), role === 'admin' && make('small', {}, ' admin')),
    mayChange &&
      button(
        role === 'admin' ? 'Make a member' : 'Make an admin',
        closing(session, close, () => groups.setRole(group.name, user, otherRole)),
      ),
    mayChange &&
      button(
        'Remove',
        closing(session, close, () => groups.remove(group.name, [user])),
      ),
  );
}

/** What only admins may do: bring people in, and name the group. */
function adminForms(session: Session, group: GroupInfo, close: () => void): HTMLElement[] {
  const { groups } = session.client;
  const people = make('input', { name: 'people', required: true, placeholder: '+49…' });
  const title = make('input', { name: 'title', required: true, maxLength: 100, value: group.title });
  const form = (field: HTMLInputElement, label: string, word: string, work: () => Promise<unknown>): HTMLElement => {
    const onsubmit = (event: Event): void => {
      event.preventDefault();
      closing(session, close, work)();
    };
    return make('form', { className: 'row', onsubmit }, make('label', {}, label, field), make('button', {}, word));
  };
  return [
    form(people, 'Add people', 'Add', () => groups.add(group.name, numbersIn(people.value))),
    form(title, 'Name', 'Rename', () => groups.setTitle(group.name, title.value)),
  ];
}

/** Does something, and closes the dialog when that went well. */
function closing(session: Session, close: () => void, work: () => Promise<unknown>): () => void {
  return () => void session.attempt(work).then((went) => went && close());
}
