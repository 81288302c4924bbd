/**
 * The other nodes of the cluster, as this one's main thread asks them: figures, and orders that it follows to their end. The other side is `node-agent.ts`.
 */

import { isRuntimeError, type RuntimeNode } from '../../runtime/index.ts';
import { AdminError } from '../admin/errors.ts';
import { pause } from '../pause.ts';
import { LIMITS } from './limits.ts';
import { NODE_AGENT, type NodeAnswer, type NodeRequest, type OrderOutcome } from './node-agent.ts';
import { markOrder, type Order } from './order.ts';
import type { NodeFigures } from './own-node.ts';
import type { CopyRow, ShardsPage } from './shard-questions.ts';

export class Peers {
  readonly #node: RuntimeNode;
  readonly #key: Buffer;

  /** @param node - The main thread's. @param key - See `orderKey`. */
  constructor(node: RuntimeNode, key: Buffer) {
    this.#node = node;
    this.#key = key;
  }

  /** @throws {AdminError} (as rejection) ADM_NO_ANSWER; what the node refused with. */
  figures(name: string): Promise<NodeFigures> {
    return this.#ask<NodeFigures>(name, { kind: 'figures' });
  }

  /** @throws {AdminError} (as rejection) as `figures`. */
  async copies(name: string): Promise<CopyRow[]> {
    const rows: CopyRow[] = [];
    for (let from = 0; rows.length < LIMITS.copyRowsMax;) {
      const page: ShardsPage<CopyRow> = await this.#ask(name, { kind: 'copies', from });
      rows.push(...page.rows);
      // A node that never comes to an end is not followed.
      if (page.next === undefined || !(page.next > from) || page.rows.length === 0) break;
      from = page.next;
    }
    return rows.slice(0, LIMITS.copyRowsMax);
  }

  /**
   * Has a node carry out a verb, and follows it to its end.
   *
   * @param onValue - Gets what the verb answers on its way, if it answers more than once.
   * @returns Its last answer.
   * @throws {AdminError} (as rejection) ADM_NO_ANSWER: then it may be carried out all the same; what the node refused with.
   */
  async order(name: string, order: Order, onValue: (value: object) => void = () => undefined): Promise<object> {
    const { nonce } = await this.#ask<{ readonly nonce: string }>(name, { kind: 'nonce' });
    const text = JSON.stringify(order);
    const mark = markOrder(this.#key, { from: this.#node.name, to: name, nonce, order: text });
    const { ticket } = await this.#ask<{ readonly ticket: string }>(name, { kind: 'order', nonce, order: text, mark });
    return this.#follow(name, ticket, onValue);
  }

  async #follow(name: string, ticket: string, onValue: (value: object) => void): Promise<object> {
    const { clock } = this.#node;
    let from = 0;
    for (let heardMs = clock.monotonicMs(); ; await pause(clock, LIMITS.pollMs)) {
      let outcome: OrderOutcome;
      try {
        outcome = await this.#ask<OrderOutcome>(name, { kind: 'outcome', ticket, from });
      } catch (error) {
        // A busy node, or a moment without a server, is not the end of the order.
        const isSilent = (error as AdminError).code === 'ADM_NO_ANSWER';
        if (!isSilent || clock.monotonicMs() - heardMs > LIMITS.lostMs) throw error;
        continue;
      }
      heardMs = clock.monotonicMs();
      for (const value of outcome.values) onValue(value);
      from = outcome.next;
      if (outcome.end === undefined) continue;
      if ('refused' in outcome.end) throw new AdminError(outcome.end.refused.code, outcome.end.refused.message);
      return outcome.end.result;
    }
  }

  async #ask<Answer extends object>(name: string, request: NodeRequest): Promise<Answer> {
    let answer: NodeAnswer;
    try {
      answer = await this.#node.call<NodeAnswer>({ name: NODE_AGENT, worker: 0, node: name }, request, LIMITS.answerMs);
    } catch (error) {
      if (!isRuntimeError(error)) throw error;
      throw new AdminError('ADM_NO_ANSWER', `node ${name} did not answer: ${error.code}`);
    }
    if ('refused' in answer) throw new AdminError(answer.refused.code, answer.refused.message);
    return answer.ok as Answer;
  }
}
