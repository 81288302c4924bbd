%% A token goes round a ring of linked processes. Twin of programs/thread-ring.ts.
%%
%% The token is the number of hops that are left; who gets 0 tells the starter, and says where in the ring it stands.

-module(thread_ring).
-behaviour(host).
-export([run/1, first/1, hop/3]).

run([Actors, Hops]) ->
    Starter = self(),
    First = spawn_link(?MODULE, first, [Starter]),
    Grow = fun(Index, Next) -> spawn_link(?MODULE, hop, [Starter, Index, Next]) end,
    Second = lists:foldl(Grow, First, lists:seq(Actors - 1, 1, -1)),
    First ! {next, Second},
    Last = (Hops - 1) rem Actors,
    {Time, Last} = timer:tc(fun() -> go_round(First, Hops - 1) end),
    [{ring_hops_per_s, host:per_second(Hops, Time)}].

go_round(First, Hops) ->
    First ! Hops,
    receive
        {stopped_at, Index} -> Index
    end.

first(Starter) ->
    receive
        {next, Next} -> hop(Starter, 0, Next)
    end.

hop(Starter, Index, Next) ->
    receive
        0 ->
            Starter ! {stopped_at, Index},
            hop(Starter, Index, Next);
        Left ->
            Next ! Left - 1,
            hop(Starter, Index, Next)
    end.
