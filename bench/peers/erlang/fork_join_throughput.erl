%% One process sends to sixty in turn, each of which counts. Twin of programs/fork-join-throughput.ts.

-module(fork_join_throughput).
-behaviour(host).
-export([run/1, counter/1]).

run([Actors, Each]) ->
    Counters = [spawn_link(?MODULE, counter, [0]) || _ <- lists:seq(1, Actors)],
    Messages = Actors * Each,
    {Time, Messages} = timer:tc(fun() -> send(Counters, Each) end),
    [{fork_join_msgs_per_s, host:per_second(Messages, Time)}].

send(Counters, 0) ->
    lists:foreach(fun(Counter) -> Counter ! {get, self()} end, Counters),
    sum(length(Counters), 0);
send(Counters, Left) ->
    increment(Counters),
    send(Counters, Left - 1).

increment([]) ->
    ok;
increment([Counter | Rest]) ->
    Counter ! increment,
    increment(Rest).

sum(0, Sum) ->
    Sum;
sum(Left, Sum) ->
    receive
        {count, Count} -> sum(Left - 1, Sum + Count)
    end.

counter(Count) ->
    receive
        increment -> counter(Count + 1);
        {get, From} -> From ! {count, Count}
    end.
