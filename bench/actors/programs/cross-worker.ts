/**
 * Structured messages from an actor on one worker thread to one on another, which are linked. The receiver checks that each
 * is whole and in order, and acknowledges now and then; the sender keeps a window in flight, because a message from
 * another thread that finds a full mailbox is dropped.
 */

import {
  type Behavior,
  type Context,
  type ExitReason,
  type From,
  isExit,
  isShutdownWithData,
  NO_REPLY,
  type Pid,
} from '../../../runtime/index.ts';
import { LIMITS } from '../../limits.ts';
import { ACKNOWLEDGED_MESSAGES, BATCH_MESSAGES, WINDOW_MESSAGES } from '../limits.ts';
import { endRoot, request } from '../perform.ts';
import { perSecond, type Program, ROUNDS, verify } from '../program.ts';

interface Text {
  readonly type: 'text';
  readonly id: number;
  readonly to: string;
  readonly seen: boolean;
}
type ReceiverMessage = Text | { readonly type: 'finish' };

/** Ends with its count for a reason when it is told to finish, and at once when a message is not the one expected. */
const receiver: Behavior<{ readonly sender: Pid<number>; count: number }, Pid<number>, ReceiverMessage> = {
  name: 'receiver',
  init: (sender) => ({ sender, count: 0 }),
  handleCast(message, state, ctx) {
    if (message.type === 'finish' || !isExpected(message, state.count)) return ctx.stop({ shutdown: state.count });
    state.count += 1;
    if (state.count % ACKNOWLEDGED_MESSAGES === 0) ctx.cast(state.sender, state.count);
  },
};

function isExpected({ type, id, to, seen }: Text, count: number): boolean {
  return type === 'text' && id === count && to === 'alice' && seen === false;
}

/** Spawns receivers for senders on other workers. */
const receiverHost: Behavior<null, void, never, Pid<number>, Pid> = {
  name: 'receiver_host',
  init: () => null,
  handleCall: (sender, _from, _state, ctx) => ctx.spawn(receiver, sender),
};

interface Sender {
  readonly messages: number;
  receiver: Pid<ReceiverMessage> | undefined;
  sent: number;
  acknowledged: number;
  /** Nothing may be sent before the next acknowledgement. */
  isWindowFull: boolean;
  from: From | undefined;
}

const sender: Behavior<Sender, number, number, Pid<ReceiverMessage>, number> = {
  name: 'sender',
  init(messages, ctx) {
    ctx.trapExit(true);
    return { messages, receiver: undefined, sent: 0, acknowledged: 0, isWindowFull: false, from: undefined };
  },
  handleCall(pid, from, state, ctx) {
    ctx.link(pid);
    state.receiver = pid;
    state.from = from;
    sendBatch(state, ctx);
    return NO_REPLY;
  },
  handleCast(acknowledged, state, ctx) {
    state.acknowledged = acknowledged;
    if (state.isWindowFull) sendBatch(state, ctx);
  },
  handleInfo(info, state, ctx) {
    if (!isExit(info)) return sendBatch(state, ctx);
    ctx.reply(state.from!, countOf(info.reason));
    ctx.stop();
  },
};

function sendBatch(state: Sender, ctx: Context): void {
  const { messages, acknowledged, receiver: pid } = state;
  const windowEnd = Math.min(messages, acknowledged + WINDOW_MESSAGES);
  const batchEnd = Math.min(windowEnd, state.sent + BATCH_MESSAGES);
  while (state.sent < batchEnd) {
    const text: Text = { type: 'text', id: state.sent, to: 'alice', seen: false };
    if (ctx.cast(pid!, text) !== 'ok') return void ctx.sendAfter(1, 'more');
    state.sent += 1;
  }
  state.isWindowFull = state.sent === windowEnd;
  if (state.sent < windowEnd) ctx.send(ctx.self, 'more');
  else if (state.sent === messages && ctx.cast(pid!, { type: 'finish' }) !== 'ok') ctx.sendAfter(1, 'more');
}

/** What the link told: -1 for an end of another kind. */
function countOf(reason: ExitReason): number {
  return isShutdownWithData(reason) && typeof reason.shutdown === 'number' ? reason.shutdown : -1;
}

export const crossWorker: Program<'messages'> = {
  name: 'cross_worker',
  question: 'how many structured messages a second go from one thread to another, linked and in order?',
  metrics: { cross_worker_msgs_per_s: 'msg/s' },
  sizes: { messages: { full: 5_000_000, quick: 400_000, tiny: 20_000 } },
  peers: ['beam'],
  rounds: ROUNDS,
  workers: 2,
  assist: (node) => void node.spawn(receiverHost, undefined, { name: receiverHost.name }),
  async run(node, { messages }) {
    const before = node.info().processCount;
    const pid = node.spawn(sender, messages);
    const far = await node.call<Pid>({ name: receiverHost.name, worker: 2 }, pid, LIMITS.programMsMax);
    const { reply, elapsedMs } = await request<number>(node, pid, far);
    verify('messages whole and in order, told over the link', reply, messages);
    await endRoot(node, pid, before);
    return [['cross_worker_msgs_per_s', perSecond(messages, elapsedMs)]];
  },
};
