%% A gen_server with a counter for a state and nothing to do. The child of idle_memory.

-module(idle_server).
-behaviour(gen_server).
-export([start_link/0]).
-export([init/1, handle_call/3, handle_cast/2]).

start_link() ->
    gen_server:start_link(?MODULE, [], []).

init([]) ->
    {ok, 0}.

handle_call(count, _From, Count) ->
    {reply, Count, Count}.

handle_cast(bump, Count) ->
    {noreply, Count + 1}.
