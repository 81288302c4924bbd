/** Who may see presence and typing of this account: read from the server, and chosen there. */

import { LIMITS as WIRE_LIMITS } from '../protocol/wire/index.ts';
import type { PrivacySettings } from '../protocol/wire/index.ts';
import type { Directory } from './directory.ts';
import type { Requests } from './requests.ts';

/** As `Client.setPrivacy` takes them: people by phone number or user id. */
export type PrivacyChoice = Partial<PrivacySettings> & Pick<PrivacySettings, 'audience'>;

/** As `Client.privacy`. */
export async function readPrivacy(requests: Requests): Promise<PrivacySettings> {
  const { audience, shown, hidden } = await requests.askUntilAnswered({ kind: 'privacy' }, 'privacy');
  return { audience, shown, hidden };
}

/** As `Client.setPrivacy`. */
export async function choosePrivacy(requests: Requests, directory: Directory, choice: PrivacyChoice): Promise<void> {
  const shown = await resolveAll(directory, choice.shown ?? []);
  const hidden = await resolveAll(directory, choice.hidden ?? []);
  assertExceptions(shown, hidden);
  const change = { kind: 'privacy-change', audience: choice.audience, shown, hidden } as const;
  await requests.askUntilAnswered(change, 'privacy');
}

async function resolveAll(directory: Directory, peers: readonly string[]): Promise<string[]> {
  const users = await Promise.all(peers.map((peer) => directory.resolve(peer)));
  return [...new Set(users)];
}

function assertExceptions(shown: readonly string[], hidden: readonly string[]): void {
  const max = WIRE_LIMITS.privacyUsersMax;
  if (shown.length > max || hidden.length > max)
    throw new RangeError(`setPrivacy: expected at most ${max} users in a list`);
  if (shown.some((user) => hidden.includes(user))) throw new RangeError('setPrivacy: expected nobody in both lists');
}
