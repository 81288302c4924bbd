/**
 * Who is alive: OTP's `net_kernel` between nodes. Every node says on one subject that it lives, and a node that has been
 * silent for LIMITS.silenceMsMax is down; earlier, if the bus knows that nobody listens there any more.
 *
 * Runs once for each node, on its main thread, which tells the workers. Each node decides for itself: two nodes may
 * disagree for a while about a third, and nothing here may be used to decide who owns what. Of two processes that claim
 * one name the later started has it, and the other is told to end (`onSuperseded`).
 */

import type { Clock, Logger } from '../contracts.ts';
import { type Bus, subjects } from './bus.ts';
import { type Beat, type Member, readBeat, VERSIONS, type VersionRange, writeGreeting } from './greeting.ts';
import { LIMITS } from './limits.ts';

/** A node came, said something new of itself, or is gone. */
export type MemberEvent =
  | { readonly type: 'up'; readonly member: Member }
  | { readonly type: 'changed'; readonly member: Member }
  | {
      readonly type: 'down';
      readonly node: string;
      readonly life: number;
      /** `deserted`: it was silent, and the bus said that its connection was gone. */
      readonly reason: 'silence' | 'deserted' | 'left' | 'replaced';
    };

/** Why a node is not let in. Decided by the application; the code is stable. */
export interface MemberRefusal {
  readonly code: string;
  /** For operators: what to do. */
  readonly reason: string;
}

export interface RefusedMember {
  readonly member: Member;
  readonly refusal: MemberRefusal;
}

export interface MembershipOptions {
  readonly cluster: string;
  readonly node: string;
  readonly life: number;
  readonly bus: Bus;
  readonly clock: Clock;
  readonly log: Logger;
  readonly onEvent: (event: MemberEvent) => void;
  /** A later life of this name is there: this process must serve nobody any more. */
  readonly onSuperseded: () => void;
  /** Default: those of this code. */
  readonly versions?: VersionRange;
  /**
   * Asked at each sign of life of a node that is not known, or of a later life of one; what is refused is as if it were not there. Default: all are let in.
   * `known`: the former life of that name, which may be this process itself.
   */
  readonly judge?: (member: Member, known: Member | undefined) => MemberRefusal | undefined;
}

/** A new one for each sign of life. */
interface Heard {
  readonly member: Member;
  readonly atMs: number;
  /** Since when the bus says that nobody listens there. */
  desertedMs: number | undefined;
  isAsked: boolean;
}

export class Membership {
  readonly #options: MembershipOptions;
  readonly #heard: Map<string, Heard> = new Map();
  /** By name; for as long as they say that they live. */
  readonly #refused: Map<string, RefusedMember & { readonly atMs: number }> = new Map();
  readonly #unsubscribe: () => void;
  #workers: readonly number[] = [];
  #info: Readonly<Record<string, unknown>> = {};
  #timer: unknown;

  /** Listens from now on; says nothing before `announce`. */
  constructor(options: MembershipOptions) {
    this.#options = options;
    this.#unsubscribe = options.bus.subscribe(subjects.beat(options.cluster), (bytes) => this.#receive(bytes));
    this.#arm();
  }

  /** The other nodes that live, as this one sees it. */
  members(): readonly Member[] {
    return [...this.#heard.values()].map(({ member }) => member);
  }

  /** Nodes that say that they live and are not let in. */
  refused(): readonly RefusedMember[] {
    return [...this.#refused.values()];
  }

  /** How long a node has been silent, milliseconds; `undefined` for one that is not known to live. */
  silenceMs(node: string): number | undefined {
    const heard = this.#heard.get(node);
    return heard === undefined ? undefined : this.#nowMs() - heard.atMs;
  }

  /** Says from now on that this node lives, with these workers; and now, if that is new. */
  announce(workers: readonly number[], info: Readonly<Record<string, unknown>>): void {
    this.#workers = workers;
    this.#info = info;
    this.#beat(false);
  }

  /** Says that this node leaves, so that nobody waits for its silence. */
  leave(): void {
    this.#options.clock.clearTimer(this.#timer);
    this.#unsubscribe();
    this.#beat(true);
  }

  #beat(leaving: boolean): void {
    const { cluster, node, life, bus, versions = VERSIONS } = this.#options;
    if (this.#workers.length === 0) return;
    const beat: Beat = { kind: 'beat', node, life, versions, workers: this.#workers, info: this.#info, leaving };
    bus.publish(subjects.beat(cluster), writeGreeting(beat));
  }

  #receive(bytes: Uint8Array): void {
    const beat = readBeat(bytes);
    if (beat === undefined) return;
    if (beat.node === this.#options.node) return this.#hearOwnName(beat);
    if (this.#refuses(beat)) return;
    const events = decideBeat(this.#heard.get(beat.node)?.member, beat, this.#heard.size);
    if (events === undefined) return;
    const { leaving, node, life, versions, workers, info } = beat;
    if (leaving) this.#heard.delete(node);
    else this.#note({ node, life, versions, workers, info });
    for (const event of events) this.#emit(event);
  }

  #note(member: Member): void {
    this.#heard.set(member.node, { member, atMs: this.#nowMs(), desertedMs: undefined, isAsked: false });
  }

  /** A node that is known was judged when it came: what it is made of does not change in its life. */
  #refuses({ node, life, versions, workers, info, leaving }: Beat): boolean {
    const { judge, log } = this.#options;
    const known = node === this.#options.node ? this.#self() : this.#heard.get(node)?.member;
    if (judge === undefined || (known !== undefined && known.life >= life)) return false;
    const member: Member = { node, life, versions, workers, info };
    const refusal = judge(member, known);
    const before = this.#refused.get(node);
    if (refusal === undefined || leaving) this.#refused.delete(node);
    if (refusal === undefined) return false;
    if (leaving || (before === undefined && this.#refused.size >= LIMITS.nodeCountMax)) return true;
    this.#refused.set(node, { member, refusal, atMs: this.#nowMs() });
    if (before?.member.life !== life)
      log.error('node_refused', { node, life, code: refusal.code, reason: refusal.reason });
    return true;
  }

  #hearOwnName(beat: Beat): void {
    if (beat.life > this.#options.life && !this.#refuses(beat)) this.#options.onSuperseded();
  }

  #self(): Member {
    const { node, life, versions = VERSIONS } = this.#options;
    return { node, life, versions, workers: this.#workers, info: this.#info };
  }

  #tick(): void {
    this.#beat(false);
    const nowMs = this.#nowMs();
    for (const heard of this.#heard.values()) {
      const silenceMs = nowMs - heard.atMs;
      if (silenceMs >= LIMITS.silenceMsMax) this.#giveUp(heard, 'silence');
      else if (silenceMs >= LIMITS.suspectMs) void this.#suspect(heard);
    }
    for (const [node, { atMs }] of this.#refused) if (nowMs - atMs >= LIMITS.silenceMsMax) this.#refused.delete(node);
  }

  /** Asks the bus whether a node that is silent is still connected. */
  async #suspect(heard: Heard): Promise<void> {
    const { bus, cluster } = this.#options;
    if (heard.isAsked) return;
    heard.isAsked = true;
    const { node } = heard.member;
    const isDeserted = await bus.isDeserted(subjects.worker(cluster, node, 0));
    heard.isAsked = false;
    if (this.#heard.get(node) !== heard) return;
    const nowMs = this.#nowMs();
    if (!isDeserted) heard.desertedMs = undefined;
    else if (heard.desertedMs === undefined) heard.desertedMs = nowMs;
    else if (nowMs - heard.desertedMs >= LIMITS.desertedMs) this.#giveUp(heard, 'deserted');
  }

  #giveUp({ member: { node, life } }: Heard, reason: 'silence' | 'deserted'): void {
    this.#heard.delete(node);
    this.#emit({ type: 'down', node, life, reason });
  }

  #emit(event: MemberEvent): void {
    const { log, onEvent } = this.#options;
    if (event.type === 'up') log.info('node_up', { node: event.member.node, life: event.member.life });
    else if (event.type === 'down') log.warn('node_down', { node: event.node, life: event.life, reason: event.reason });
    onEvent(event);
  }

  #nowMs(): number {
    return this.#options.clock.monotonicMs();
  }

  #arm(): void {
    this.#timer = this.#options.clock.setTimer(LIMITS.beatMs, () => {
      this.#arm();
      this.#tick();
    });
  }
}

/**
 * What a sign of life means to a node that knew `known` under that name. Pure.
 *
 * @returns The events, in order; `undefined` if it is to be forgotten: of an earlier life, or of one node too many.
 */
function decideBeat(known: Member | undefined, beat: Beat, countNow: number): readonly MemberEvent[] | undefined {
  const { node, life, versions, workers, info, leaving } = beat;
  const member: Member = { node, life, versions, workers, info };
  if (known === undefined) {
    return leaving || countNow >= LIMITS.nodeCountMax - 1 ? undefined : [{ type: 'up', member }];
  }
  if (life < known.life) return undefined;
  if (life > known.life) {
    const replaced: MemberEvent = { type: 'down', node, life: known.life, reason: 'replaced' };
    return leaving ? [replaced] : [replaced, { type: 'up', member }];
  }
  if (leaving) return [{ type: 'down', node, life, reason: 'left' }];
  return isSame(known, member) ? [] : [{ type: 'changed', member }];
}

function isSame(a: Member, b: Member): boolean {
  return JSON.stringify([a.versions, a.workers, a.info]) === JSON.stringify([b.versions, b.workers, b.info]);
}
