/**
 * Registration: one question on a connection of its own, before any login.
 *
 * A connection a question, because minutes may pass between "send me a code" and the person's typing it, and the server
 * rightly gives an idle stranger only a short time.
 */

import { eachStanza, FrameWriter, isWireError, parseServerMessage } from '../protocol/wire/index.ts';
import type { Answer, RegisterRequest, ServerMessage, Stanza } from '../protocol/wire/index.ts';
import { judgeClose } from './close-reason.ts';
import type { TransportClose } from './close-reason.ts';
import type { Clock } from './environment.ts';
import { ClientError } from './errors.ts';
import { LIMITS } from './limits.ts';
import { refusalOf, requestStanza } from './requests.ts';
import type { Request } from './requests.ts';
import type { Transport, TransportSocket } from './transport.ts';

/** Where to ask. */
export interface RegistrationOptions {
  readonly url: string;
  readonly transport: Transport;
  readonly clock: Clock;
}

type Outcome = { readonly answer: Answer } | { readonly error: ClientError };

/** The request for a code by phone. */
export function codeRequest(phone: string): RegisterRequest {
  return { kind: 'register', phone };
}

/**
 * Dials, waits for the greeting, asks, and hangs up.
 *
 * @returns The answer. Registration answers hold no bytes, so nothing is borrowed.
 * @throws {ClientError} The server's code; CLI_UNREACHABLE; CLI_TIMEOUT; CLI_PROTOCOL.
 */
export async function askBeforeLogin(options: RegistrationOptions, request: Request): Promise<Answer> {
  const outcome = await new Promise<Outcome>((resolve) => dial(options, request, resolve));
  if ('error' in outcome) throw outcome.error;
  return outcome.answer;
}

function dial(options: RegistrationOptions, request: Request, resolve: (outcome: Outcome) => void): void {
  const { clock } = options;
  const timer = clock.setTimer(LIMITS.handshakeTimeoutMs, () => finish({ error: new ClientError('CLI_TIMEOUT') }));
  const conversation = converseBeforeLogin(options, { receive, fail: (error) => finish({ error }) });

  function receive(message: ServerMessage): void {
    if (message.kind === 'stream') conversation.say(requestStanza(1, request));
    else if (message.kind === 'iq-result') finish({ answer: message.answer });
    else if (message.kind === 'iq-error') finish({ error: refusalOf(message) });
  }

  function finish(outcome: Outcome): void {
    clock.clearTimer(timer);
    conversation.close();
    resolve(outcome);
  }
}

/** A connection on which nobody logs in. */
export interface EarlyConversation {
  say(stanza: Stanza): void;
  close(): void;
}

/** Dials, and hands on what the server says, beginning with its greeting; `fail` once the connection is of no more use. */
export function converseBeforeLogin(
  { url, transport }: Pick<RegistrationOptions, 'url' | 'transport'>,
  {
    receive,
    fail,
  }: { readonly receive: (message: ServerMessage) => void; readonly fail: (error: ClientError) => void },
): EarlyConversation {
  const socket: TransportSocket = transport.dial(url, {
    onMessage: read,
    onClose: (close: TransportClose) => fail(new ClientError(judgeClose(close).code)),
  });

  function read(bytes: Uint8Array): void {
    const refusal = eachStanza(bytes, (stanza) => {
      const message = parseServerMessage(stanza);
      if (isWireError(message)) fail(new ClientError('CLI_PROTOCOL'));
      else receive(message);
    });
    if (refusal !== undefined) fail(new ClientError('CLI_PROTOCOL'));
  }

  return {
    say(stanza) {
      const writer = new FrameWriter();
      writer.append(stanza);
      socket.send(writer.bytes());
    },
    close: () => socket.close(),
  };
}
