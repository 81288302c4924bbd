%% One process sends, one counts. The mailbox is the default one, without a bound. Twin of programs/counting.ts.

-module(counting).
-behaviour(host).
-export([run/1, counter/1]).

run([Messages]) ->
    Counter = spawn_link(?MODULE, counter, [0]),
    {Time, Messages} = timer:tc(fun() -> count(Counter, Messages) end),
    [{counting_msgs_per_s, host:per_second(Messages, Time)}].

count(Counter, 0) ->
    Counter ! {get, self()},
    receive
        {count, Count} -> Count
    end;
count(Counter, Left) ->
    Counter ! increment,
    count(Counter, Left - 1).

counter(Count) ->
    receive
        increment -> counter(Count + 1);
        {get, From} -> From ! {count, Count}
    end.
