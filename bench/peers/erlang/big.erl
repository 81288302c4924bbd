%% Many to many: each of 120 processes pings one of the others at random, and the next one when it was answered.
%% Twin of programs/big.ts.

-module(big).
-behaviour(host).
-export([run/1, peer/3]).

run([Actors, Pings]) ->
    Peers = [spawn_link(?MODULE, peer, [self(), Index, Pings]) || Index <- lists:seq(0, Actors - 1)],
    Pongs = Actors * Pings,
    {Time, Pongs} = timer:tc(fun() -> exchange(Peers) end),
    [{big_msgs_per_s, host:per_second(2 * Pongs, Time)}].

exchange(Peers) ->
    Neighbours = list_to_tuple(Peers),
    lists:foreach(fun(Peer) -> Peer ! {neighbours, Neighbours} end, Peers),
    sink(length(Peers), 0).

sink(0, Pongs) ->
    Pongs;
sink(Left, Pongs) ->
    receive
        {finished, Count} -> sink(Left - 1, Pongs + Count)
    end.

%% The others may ping before the neighbours are known: those pings wait.
peer(Sink, Index, Pings) ->
    receive
        {neighbours, Neighbours} ->
            Chance = ping(Neighbours, Index),
            peer(Sink, Neighbours, Chance, Pings, 0)
    end.

peer(Sink, Neighbours, Chance, Pings, Pongs) ->
    receive
        pong when Pongs + 1 < Pings ->
            peer(Sink, Neighbours, ping(Neighbours, Chance), Pings, Pongs + 1);
        pong ->
            Sink ! {finished, Pongs + 1},
            peer(Sink, Neighbours, Chance, Pings, Pongs + 1);
        {ping, From} ->
            From ! pong,
            peer(Sink, Neighbours, Chance, Pings, Pongs)
    end.

%% By a small generator that the twin has as well, so that chance costs both the same.
ping(Neighbours, Chance) ->
    Next = (Chance * 75 + 74) rem 65537,
    element(Next rem tuple_size(Neighbours) + 1, Neighbours) ! {ping, self()},
    Next.
