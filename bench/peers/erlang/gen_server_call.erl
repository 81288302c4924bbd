%% One caller, one gen_server, one call at a time with the default time-out. Twin of programs/gen-server-call.ts.

-module(gen_server_call).
-behaviour(host).
-behaviour(gen_server).
-export([run/1]).
-export([init/1, handle_call/3, handle_cast/2]).

run([Calls]) ->
    {ok, Server} = gen_server:start_link(?MODULE, [], []),
    {Time, Calls} = timer:tc(fun() -> call(Server, Calls, 0) end),
    [{call_per_s, host:per_second(Calls, Time)}].

call(_Server, Calls, Calls) ->
    Calls;
call(Server, Calls, Count) ->
    Next = Count + 1,
    Next = gen_server:call(Server, next),
    call(Server, Calls, Next).

init([]) ->
    {ok, 0}.

handle_call(next, _From, Count) ->
    {reply, Count + 1, Count + 1}.

handle_cast(_Message, Count) ->
    {noreply, Count}.
