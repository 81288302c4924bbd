%% Spawns many linked processes that stay, then sends one message to each, in the order of
%% their spawning and in random order. Twin of programs/million.ts.

-module(million).
-behaviour(host).
-export([run/1, start/1, barrier/0]).

%% Processes started before their words are waited for.
-define(BATCH, 1000).

run([Actors, Passes]) ->
    {SpawnTime, Grown} = timer:tc(fun() -> grow(Actors, []) end),
    Pids = lists:reverse(Grown),
    Order = in_random_order(Pids, Actors),
    Barrier = spawn_link(?MODULE, barrier, []),
    InTurn = passes(Passes, each_1m_msgs_per_s, Pids, Actors, Barrier),
    AtRandom = passes(Passes, random_1m_msgs_per_s, Order, Actors, Barrier),
    Visits = 2 * Actors * Passes,
    lists:foreach(fun(Pid) -> Pid ! {get, self()} end, Pids),
    Visits = sum_of_visits(Actors, 0),
    [{spawn_per_s, host:per_second(Actors, SpawnTime)} | InTurn ++ AtRandom].

passes(0, _Metric, _Pids, _Actors, _Barrier) ->
    [];
passes(Left, Metric, Pids, Actors, Barrier) ->
    {Time, ok} = timer:tc(fun() -> visit(Pids, Barrier) end),
    [{Metric, host:per_second(Actors, Time)} | passes(Left - 1, Metric, Pids, Actors, Barrier)].

grow(0, Pids) ->
    Pids;
grow(Left, Pids) ->
    Count = min(?BATCH, Left),
    Grown = spawn_batch(Count, Pids),
    await_up(Count),
    grow(Left - Count, Grown).

spawn_batch(0, Pids) ->
    Pids;
spawn_batch(Left, Pids) ->
    spawn_batch(Left - 1, [spawn_link(?MODULE, start, [self()]) | Pids]).

await_up(0) ->
    ok;
await_up(Left) ->
    receive
        up -> await_up(Left - 1)
    end.

start(Parent) ->
    Parent ! up,
    idle(0).

idle(Count) ->
    receive
        visit -> idle(Count + 1);
        {get, From} ->
            From ! {visits, Count},
            idle(Count)
    end.

%% The barrier is sent to last and therefore runs last: there is one run queue, first in, first out.
visit([], Barrier) ->
    Barrier ! {reached, self()},
    receive
        all_visited -> ok
    end;
visit([Pid | Rest], Barrier) ->
    Pid ! visit,
    visit(Rest, Barrier).

barrier() ->
    receive
        {reached, From} ->
            From ! all_visited,
            barrier()
    end.

sum_of_visits(0, Sum) ->
    Sum;
sum_of_visits(Left, Sum) ->
    receive
        {visits, Count} -> sum_of_visits(Left - 1, Sum + Count)
    end.

%% The order of a linear congruential generator of full period: the same on both sides, and no sorting of a million keys.
in_random_order(Pids, Actors) ->
    Table = list_to_tuple(Pids),
    Mask = mask(1, Actors),
    permute(Mask, Actors, Table, Actors, Mask, []).

mask(Size, Actors) when Size >= Actors -> Size - 1;
mask(Size, Actors) -> mask(Size * 2, Actors).

permute(_State, 0, _Table, _Actors, _Mask, Order) ->
    Order;
permute(State, Left, Table, Actors, Mask, Order) ->
    Next = (State * 1664525 + 1013904223) band Mask,
    case Next < Actors of
        true -> permute(Next, Left - 1, Table, Actors, Mask, [element(Next + 1, Table) | Order]);
        false -> permute(Next, Left, Table, Actors, Mask, Order)
    end.
