%% What an idle gen_server under a simple_one_for_one supervisor takes. Twin of programs/idle-memory.ts.

-module(idle_memory).
-behaviour(host).
-behaviour(supervisor).
-export([run/1, init/1]).

run([Actors]) ->
    {ok, Supervisor} = supervisor:start_link(?MODULE, []),
    Before = used(Supervisor),
    [{ok, _} = supervisor:start_child(Supervisor, []) || _ <- lists:seq(1, Actors)],
    After = used(Supervisor),
    Actors = proplists:get_value(active, supervisor:count_children(Supervisor)),
    [{bytes_per_actor, (After - Before) / Actors}].

used(Supervisor) ->
    erlang:garbage_collect(),
    erlang:garbage_collect(Supervisor),
    erlang:memory(total).

init([]) ->
    Child = #{id => idle_server, start => {idle_server, start_link, []}, restart => temporary},
    {ok, {#{strategy => simple_one_for_one}, [Child]}}.
