/** Who answers the requests of `protocol/wire/protection.ts`, and the question put to it. Pure; `requests.ts` sends it. */

import type { Limit, NotifyRequest, ProtectionGet, ProtectionSet } from '../../protocol/wire/index.ts';
import type { Pid } from '../../runtime/index.ts';
import type { QuotasMessage, RelationsMessage, WakeupsMessage } from '../messages.ts';
import type { RemoteName, Routes } from '../routes.ts';

/** Who asks: the connection and the id of its request, and the device that is logged in on it. */
export interface Asker {
  readonly connection: Pid;
  readonly iq: number;
  readonly user: string;
  readonly device: number;
}

/** All but `<notify>`, which the connection keeps to itself. */
export type RoutedRequest = Exclude<ProtectionGet | ProtectionSet, NotifyRequest>;

/** @param own - What the connection bounds by itself. */
export function routeProtection(
  request: RoutedRequest,
  { connection, iq, user, device }: Asker,
  own: readonly Limit[],
  routes: Routes,
): [RemoteName, QuotasMessage | RelationsMessage | WakeupsMessage] {
  const origin = { connection, iq, user };
  const target = routes.relationsOf(user);
  switch (request.kind) {
    case 'push':
      return [routes.wakeupsOf(user), { kind: 'show-push', ...origin, device }];
    case 'push-change':
      return [routes.wakeupsOf(user), { kind: 'set-push', ...origin, device, target: request.target }];
    case 'limits':
      return [routes.quotasOf(user), { kind: 'show-limits', ...origin, own }];
    case 'relations':
      return [target, { kind: 'list-relations', ...origin, after: request.after }];
    case 'strangers':
      return [target, { kind: 'show-strangers', ...origin }];
    case 'relation':
      return [target, { kind: 'set-relation', ...origin, other: request.user, state: request.state }];
    case 'strangers-change':
      return [target, { kind: 'set-strangers', ...origin, policy: request.policy }];
    case 'report': {
      const { user: sender, device: senderDevice, id, evidence } = request;
      const question = { kind: 'report', ...origin, sender, device: senderDevice, id, evidence } as const;
      return [routes.quotasOf(user), { kind: 'spend', action: 'report', user, target, question }];
    }
  }
}
