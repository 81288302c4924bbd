/** Where a connection takes requests about the devices of an account: linking, removing, signed lists. */

import type { GetRequest, SetRequest } from '../../protocol/wire/index.ts';
import type { Context, Pid } from '../../runtime/index.ts';
import { LIMITS } from '../limits.ts';
import type { AccountsMessage, LinksMessage } from '../messages.ts';
import type { RemoteName, Routes } from '../routes.ts';

const DEVICE_REQUESTS = ['link-begin', 'link', 'link-approve', 'unlink', 'publish-list', 'devices'] as const;

/** A request that this file routes. */
export type DeviceRequest = Extract<GetRequest | SetRequest, { kind: (typeof DEVICE_REQUESTS)[number] }>;

export function isDeviceRequest(request: GetRequest | SetRequest): request is DeviceRequest {
  return (DEVICE_REQUESTS as readonly string[]).includes(request.kind);
}

interface Self {
  readonly user: string;
  readonly device: number;
}

/** @param self - Who is logged in; nobody, where a device asks to be linked. */
export function routeOfDevices(
  request: DeviceRequest,
  origin: { readonly connection: Pid; readonly iq: number },
  self: Self | undefined,
  routes: Routes,
  ctx: Context,
): [RemoteName, AccountsMessage | LinksMessage] {
  if (request.kind === 'link-begin') {
    const { kind: _, ...keys } = request;
    const id = drawLinkNear(routes, ctx);
    return [routes.linksOf(id), { kind: 'begin-link', ...origin, id, keys }];
  }
  if (self === undefined) throw new Error(`expected a login before ${request.kind}`);
  const { user, device: by } = self;
  switch (request.kind) {
    case 'devices':
      return [routes.accountsOf(request.user), { kind: 'list-devices', ...origin, user: request.user, asker: user }];
    case 'link':
      return [routes.linksOf(request.id), { kind: 'find-link', ...origin, user, by, id: request.id }];
    case 'link-approve':
      return [routes.linksOf(request.id), { ...request, kind: 'approve-link', ...origin, user, by }];
    case 'unlink':
      return [routes.accountsOf(user), { ...request, kind: 'unlink-device', ...origin, user, by }];
    case 'publish-list':
      return [routes.accountsOf(user), { ...request, ...origin, user, by }];
  }
}

/** Kept on this node if it serves any shard: the link then hangs on no other node, nor on a line to another data centre. */
function drawLinkNear(routes: Routes, ctx: Context): string {
  for (let tries = 1; ; tries++) {
    const id = drawLinkId(ctx);
    const { node } = routes.linksOf(id);
    if (node === undefined || node === ctx.self.node || tries === LIMITS.linkDrawsMax) return id;
  }
}

/** 20 digits, uniform: 66 bits, which nobody guesses in five minutes at 20 requests a second. */
function drawLinkId(ctx: Context): string {
  const part = (): string => String(ctx.random.integer(1_000_000_000)).padStart(9, '0');
  return part() + part() + String(ctx.random.integer(100)).padStart(2, '0');
}
