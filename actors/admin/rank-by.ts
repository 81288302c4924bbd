/** What actors are ranked by; a file of its own because the page of the console has it as well. */

export const RANK_BY = ['queue', 'age', 'messages', 'time', 'memory'] as const;
