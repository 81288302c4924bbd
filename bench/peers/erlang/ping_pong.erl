%% Two linked processes that answer each other. Twin of programs/ping-pong.ts.

-module(ping_pong).
-behaviour(host).
-export([run/1, ponger/1]).

run([Messages]) ->
    Rounds = Messages div 2,
    Ponger = spawn_link(?MODULE, ponger, [self()]),
    {Time, Rounds} = timer:tc(fun() -> ping(Ponger, Rounds, 0) end),
    [{ping_pong_msgs_per_s, host:per_second(2 * Rounds, Time)}].

ping(_Ponger, Rounds, Rounds) ->
    Rounds;
ping(Ponger, Rounds, Count) ->
    Ponger ! ping,
    receive
        pong -> ping(Ponger, Rounds, Count + 1)
    end.

ponger(Pinger) ->
    receive
        ping ->
            Pinger ! pong,
            ponger(Pinger)
    end.
