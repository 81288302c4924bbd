/**
 * Registration: one question on a connection of its own, before any login.
 *
 * A connection a question, because minutes may pass between "send me a code" and the person's typing it, and the server
 * rightly gives an idle stranger only a short time.
 */

import { eachStanza, FrameWriter, isWireError, parseServerMessage } from '../protocol/wire/index.ts';
import type { Answer, RegisterRequest, ServerMessage } from '../protocol/wire/index.ts';
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

function dial(
  { url, transport, clock }: RegistrationOptions,
  request: Request,
  resolve: (outcome: Outcome) => void,
): void {
  const timer = clock.setTimer(LIMITS.handshakeTimeoutMs, () => finish({ error: new ClientError('CLI_TIMEOUT') }));
  const socket: TransportSocket = transport.dial(url, { onMessage: read, onClose: fail });

  function read(bytes: Uint8Array): void {
    const refusal = eachStanza(bytes, (stanza) => {
      const message = parseServerMessage(stanza);
      if (isWireError(message)) finish({ error: new ClientError('CLI_PROTOCOL') });
      else receive(message);
    });
    if (refusal !== undefined) finish({ error: new ClientError('CLI_PROTOCOL') });
  }

  function receive(message: ServerMessage): void {
    if (message.kind === 'stream') ask();
    else if (message.kind === 'iq-result') finish({ answer: message.answer });
    else if (message.kind === 'iq-error') finish({ error: refusalOf(message) });
  }

  function ask(): void {
    const writer = new FrameWriter();
    writer.append(requestStanza(1, request));
    socket.send(writer.bytes());
  }

  function fail(close: TransportClose): void {
    finish({ error: new ClientError(judgeClose(close).code) });
  }

  function finish(outcome: Outcome): void {
    clock.clearTimer(timer);
    socket.close();
    resolve(outcome);
  }
}
