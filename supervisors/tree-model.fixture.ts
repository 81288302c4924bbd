/**
 * What a tree of supervisors does, as plainly as it can be said: no actors, no decisions as data, no promises. The slow
 * simple twin that `tree-model.test.ts` holds the running trees against. Written from OTP's documentation of supervisors,
 * and sharing no code with them.
 */

import type { AutoShutdown, Restart } from './child-spec.ts';

export interface WorkerNode {
  readonly kind: 'worker';
  readonly id: string;
  readonly restart: Restart;
  readonly significant: boolean;
}

export interface SupervisorNode {
  readonly kind: 'supervisor';
  readonly id: string;
  readonly restart: Restart;
  readonly significant: boolean;
  readonly strategy: 'one_for_one' | 'one_for_all' | 'rest_for_one';
  readonly intensity: number;
  readonly autoShutdown: AutoShutdown;
  readonly children: readonly TreeNode[];
}

export type TreeNode = WorkerNode | SupervisorNode;

/** How a worker ends: by itself, by an error, killed. */
export type Way = 'normal' | 'an error thrown' | 'kill';

interface Place {
  readonly node: TreeNode;
  state: 'up' | 'down' | 'restarting';
  /** Counts the starts, so that late news of an earlier life is known as such. */
  life: number;
  /** Has ended, and its supervisor does not know yet. */
  dead: boolean;
  /** What runs in it, if it is a supervisor. */
  family: Family | undefined;
}

interface Family {
  readonly node: SupervisorNode;
  readonly above: { readonly family: Family; readonly place: Place } | undefined;
  places: Place[];
  restarts: number[];
  ended: boolean;
}

export class TreeModel {
  /** `start a`, `stop a`, `fail a`, in order. */
  readonly events: string[] = [];
  /** `root child_terminated a`. */
  readonly reports: string[] = [];
  readonly failing: Map<string, number> = new Map();
  readonly root: Family;
  readonly #periodMs: number;
  readonly #retries: { family: Family; place: Place }[] = [];
  nowMs: number = 0;

  constructor(node: SupervisorNode, periodMs: number) {
    this.#periodMs = periodMs;
    this.root = this.#familyOf(node, undefined);
    this.#startFamily(this.root);
  }

  /** Names of all that run, sorted. */
  alive(): string[] {
    const names: string[] = [];
    const visit = (family: Family): void => {
      if (family.ended) return;
      names.push(family.node.id);
      for (const place of family.places) {
        if (place.family !== undefined) visit(place.family);
        else if (place.state === 'up') names.push(place.node.id);
      }
    };
    visit(this.root);
    return names.sort();
  }

  /** Workers that run, in order of the tree. */
  workers(): string[] {
    return this.#places()
      .filter(({ place }) => place.node.kind === 'worker' && place.state === 'up')
      .map(({ place }) => place.node.id);
  }

  /** Children of a running supervisor with what they do. */
  children(id: string): [string, Place['state']][] | undefined {
    return this.#family(id)?.places.map(({ node, state }) => [node.id, state]);
  }

  /** Supervisors that run, in order of the tree, the root first. */
  supervisors(): string[] {
    return [this.root, ...this.#places().flatMap(({ place }) => place.family ?? [])]
      .filter(({ ended }) => !ended)
      .map(({ node }) => node.id);
  }

  /** Ends workers of one supervisor at the same moment, and lets everything follow. */
  end(ids: readonly string[], way: Way): void {
    const found = ids.map((id) => this.#places().find(({ place }) => place.node.id === id)!);
    const news = found.map(({ family, place }) => {
      if (way !== 'kill') this.events.push(`stop ${place.node.id}`);
      place.dead = true;
      return { family, place, life: place.life };
    });
    for (const { family, place, life } of news) {
      if (!family.ended && place.life === life && place.state === 'up') this.#exited(family, place, way !== 'normal');
    }
    this.#retry();
  }

  terminate(supervisor: string, id: string): void {
    const family = this.#family(supervisor)!;
    const place = family.places.find(({ node }) => node.id === id)!;
    this.#stop(place);
    this.#down(family, place);
  }

  /** Returns whether it runs then. */
  restart(supervisor: string, id: string): boolean {
    const family = this.#family(supervisor)!;
    return this.#start(
      family,
      family.places.find(({ node }) => node.id === id)!,
    );
  }

  delete(supervisor: string, id: string): void {
    const family = this.#family(supervisor)!;
    family.places = family.places.filter(({ node }) => node.id !== id);
  }

  #exited(family: Family, place: Place, abnormal: boolean): void {
    const { restart, significant } = place.node;
    if (abnormal || restart === 'permanent') this.#report(family, 'child_terminated', place);
    place.dead = true;
    if (restart === 'permanent' || (restart === 'transient' && abnormal)) return this.#restart(family, place);
    this.#down(family, place);
    const others = family.places.some((other) => other.node.significant && other.state !== 'down');
    const { autoShutdown } = family.node;
    if (significant && (autoShutdown === 'any_significant' || (autoShutdown === 'all_significant' && !others))) {
      this.#end(family);
    }
  }

  #restart(family: Family, place: Place): void {
    family.restarts = [...family.restarts.filter((atMs) => this.nowMs - atMs <= this.#periodMs), this.nowMs];
    if (family.restarts.length > family.node.intensity) {
      this.#report(family, 'shutdown', place);
      this.#down(family, place);
      return this.#end(family);
    }
    place.state = 'down';
    const concerned = this.#concerned(family, place);
    for (const other of [...concerned].reverse()) if (other !== place) this.#stop(other);
    for (const other of concerned) if (other !== place) this.#down(family, other);
    for (const other of concerned.filter(({ node }) => node.restart !== 'temporary')) {
      if (this.#start(family, other)) continue;
      this.#report(family, 'start_error', other);
      other.state = 'restarting';
      this.#retries.push({ family, place: other });
      return;
    }
  }

  #concerned({ node, places }: Family, place: Place): Place[] {
    if (node.strategy === 'one_for_one') return [place];
    return node.strategy === 'one_for_all' ? [...places] : places.slice(places.indexOf(place));
  }

  #retry(): void {
    for (let next = this.#retries.shift(); next !== undefined; next = this.#retries.shift()) {
      const { family, place } = next;
      if (!family.ended && place.state === 'restarting') this.#restart(family, place);
    }
  }

  /** It gives up, or has done its duty: everybody below is stopped, and its own supervisor hears `shutdown`. */
  #end(family: Family): void {
    this.#stopAll(family);
    const { above } = family;
    if (above !== undefined) this.#exited(above.family, above.place, false);
  }

  #stopAll(family: Family): void {
    for (const place of [...family.places].reverse()) this.#stop(place);
    family.ended = true;
  }

  #stop(place: Place): void {
    if (place.state !== 'up' || place.dead) return;
    if (place.family === undefined) this.events.push(`stop ${place.node.id}`);
    else if (!place.family.ended) this.#stopAll(place.family);
  }

  #start(family: Family, place: Place): boolean {
    const { node } = place;
    if (node.kind === 'worker') {
      const failures = this.failing.get(node.id) ?? 0;
      if (failures > 0) this.failing.set(node.id, failures - 1);
      this.events.push(`${failures > 0 ? 'fail' : 'start'} ${node.id}`);
      if (failures > 0) return false;
    } else {
      place.family = this.#familyOf(node, { family, place });
      if (!this.#startFamily(place.family)) return false;
    }
    place.state = 'up';
    place.dead = false;
    place.life += 1;
    return true;
  }

  #startFamily(family: Family): boolean {
    for (const place of family.places) {
      if (this.#start(family, place)) continue;
      this.#report(family, 'start_error', place);
      this.#stopAll(family);
      return false;
    }
    return true;
  }

  #down(family: Family, place: Place): void {
    place.state = 'down';
    if (place.node.restart === 'temporary') family.places = family.places.filter((other) => other !== place);
  }

  #report(family: Family, context: string, place: Place): void {
    this.reports.push(`${family.node.id} ${context} ${place.node.id}`);
  }

  #familyOf(node: SupervisorNode, above: Family['above']): Family {
    const places = node.children.map((child): Place => ({
      node: child,
      state: 'down',
      life: 0,
      dead: false,
      family: undefined,
    }));
    return { node, above, places, restarts: [], ended: false };
  }

  #family(id: string): Family | undefined {
    if (this.root.node.id === id) return this.root;
    return this.#places().find(({ place }) => place.node.id === id)?.place.family;
  }

  /** Every place of every running supervisor, in order of the tree. */
  #places(): { family: Family; place: Place }[] {
    const visit = (family: Family): { family: Family; place: Place }[] =>
      family.ended
        ? []
        : family.places.flatMap((place) => [
            { family, place },
            ...(place.family === undefined ? [] : visit(place.family)),
          ]);
    return visit(this.root);
  }
}
