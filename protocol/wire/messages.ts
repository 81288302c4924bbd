/**
 * The typed layer over stanzas: what each side says, as discriminated unions by `kind`.
 *
 *   ClientMessage ⇄ Stanza    client-messages.ts    parseClientMessage, clientStanza, one constructor for each kind
 *   ServerMessage ⇄ Stanza    server-messages.ts    parseServerMessage, serverStanza, one constructor for each kind
 *   the login                 login-stanzas.ts      from the greeting to logged in or refused
 *   requests and answers      requests.ts           what an <iq> carries; bundle-stanzas.ts for pre-keys
 *   groups                    group-stanzas.ts
 *   public keys in stanzas    key-material.ts
 *   what is lost              gaps.ts
 *   presence and typing       presence.ts, group-typing.ts
 *
 * A parser checks the form of every field; its refusal names the field and never the value. A constructor checks nothing:
 * the compiler has, and the encoder refuses what cannot be written.
 */

export * from './client-messages.ts';
export * from './server-messages.ts';
export { failureStanza, offlineStanza, PROTOCOL_VERSION, streamStanza, successStanza } from './login-stanzas.ts';
export type * from './login-stanzas.ts';
export * from './group-stanzas.ts';
export * from './group-typing.ts';
export type * from './requests.ts';
export type * from './bundle-stanzas.ts';
export type * from './protection.ts';
export type * from './key-material.ts';
export { linkedStanza } from './device-stanzas.ts';
export type * from './device-stanzas.ts';
export type { Gap, GapMessage, PrunedMessage } from './gaps.ts';
export { gapStanza, prunedStanza } from './gaps.ts';
export * from './presence.ts';
