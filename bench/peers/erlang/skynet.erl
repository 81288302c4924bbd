%% A tree of linked processes, ten children each; the leaves send their numbers up, and sums arrive at the root.
%% Twin of programs/skynet.ts.

-module(skynet).
-behaviour(host).
-export([run/1, node/3]).

-define(FANOUT, 10).

run([Leaves]) ->
    Expected = Leaves * (Leaves - 1) div 2,
    {Time, Expected} = timer:tc(fun() -> sum_of_tree(Leaves) end),
    [{skynet_1m_s, Time / 1000000}].

sum_of_tree(Leaves) ->
    spawn_link(?MODULE, node, [self(), 0, Leaves]),
    sum(1, 0).

node(Parent, Number, 1) ->
    Parent ! Number;
node(Parent, Number, Leaves) ->
    spawn_children(?FANOUT, Number, Leaves div ?FANOUT),
    Parent ! sum(?FANOUT, 0).

spawn_children(0, _Number, _Leaves) ->
    ok;
spawn_children(Left, Number, Leaves) ->
    spawn_link(?MODULE, node, [self(), Number, Leaves]),
    spawn_children(Left - 1, Number + Leaves, Leaves).

sum(0, Sum) ->
    Sum;
sum(Left, Sum) ->
    receive
        Number -> sum(Left - 1, Sum + Number)
    end.
