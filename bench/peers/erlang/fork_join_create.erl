%% Processes that are spawned with a monitor, get one message, do it and end; their 'DOWN's are counted.
%% Twin of programs/fork-join-create.ts.

-module(fork_join_create).
-behaviour(host).
-export([run/1, worker/0]).

%% Processes spawned before they are waited for, as on the other side.
-define(BATCH, 1000).

run([Actors]) ->
    {Time, Actors} = timer:tc(fun() -> fork(Actors, 0) end),
    [{fork_join_create_per_s, host:per_second(Actors, Time)}].

fork(0, Ended) ->
    Ended;
fork(Left, Ended) ->
    Count = min(?BATCH, Left),
    spawn_batch(Count),
    fork(Left - Count, Ended + join(Count, 0)).

spawn_batch(0) ->
    ok;
spawn_batch(Left) ->
    {Pid, _Ref} = spawn_monitor(?MODULE, worker, []),
    Pid ! work,
    spawn_batch(Left - 1).

join(Count, Count) ->
    Count;
join(Count, Ended) ->
    receive
        {'DOWN', _Ref, process, _Pid, normal} -> join(Count, Ended + 1)
    end.

worker() ->
    receive
        work -> ok
    end.
