%% Forty producers and forty consumers around one buffer with fifty places. Twin of programs/bounded-buffer.ts.

-module(bounded_buffer).
-behaviour(host).
-export([run/1, producer/1, consumer/1]).

-define(PLACES, 50).

-record(buffer, {items,
                 places = queue:new(),
                 placed = 0,
                 idle_producers,
                 idle_consumers = queue:new(),
                 asked = 0,
                 arrived = 0,
                 consumed = 0,
                 sum = 0}).

run([Producers, Consumers, Items]) ->
    Pids = [spawn_link(?MODULE, producer, [self()]) || _ <- lists:seq(1, Producers)],
    Buffer = #buffer{items = Items, idle_producers = queue:from_list(Pids)},
    Sum = Items * (Items + 1) div 2,
    {Time, Sum} = timer:tc(fun() -> open(Consumers, Buffer) end),
    [{bounded_buffer_items_per_s, host:per_second(Items, Time)}].

open(Consumers, Buffer) ->
    [spawn_link(?MODULE, consumer, [self()]) || _ <- lists:seq(1, Consumers)],
    buffer(ask(Buffer)).

buffer(#buffer{consumed = Items, items = Items, sum = Sum}) ->
    Sum;
buffer(Buffer) ->
    receive
        {item, Item, Producer} -> buffer(ask(take(Item, Producer, Buffer)));
        {available, 0, Consumer} -> buffer(ask(serve(Consumer, Buffer)));
        {available, Item, Consumer} ->
            #buffer{consumed = Consumed, sum = Sum} = Buffer,
            buffer(ask(serve(Consumer, Buffer#buffer{consumed = Consumed + 1, sum = Sum + Item})))
    end.

take(Item, Producer, Buffer) ->
    #buffer{arrived = Arrived, idle_producers = Producers, idle_consumers = Consumers} = Buffer,
    Taken = Buffer#buffer{arrived = Arrived + 1, idle_producers = queue:in(Producer, Producers)},
    case queue:out(Consumers) of
        {{value, Consumer}, Rest} ->
            Consumer ! Item,
            Taken#buffer{idle_consumers = Rest};
        {empty, _} ->
            #buffer{places = Places, placed = Placed} = Buffer,
            Taken#buffer{places = queue:in(Item, Places), placed = Placed + 1}
    end.

serve(Consumer, #buffer{places = Places, placed = Placed, idle_consumers = Consumers} = Buffer) ->
    case queue:out(Places) of
        {{value, Item}, Rest} ->
            Consumer ! Item,
            Buffer#buffer{places = Rest, placed = Placed - 1};
        {empty, _} ->
            Buffer#buffer{idle_consumers = queue:in(Consumer, Consumers)}
    end.

%% Asks as long as there is a place for what was asked for before and for one more.
ask(#buffer{asked = Asked, items = Items, placed = Placed, arrived = Arrived} = Buffer)
  when Asked < Items, Placed + Asked - Arrived < ?PLACES ->
    case queue:out(Buffer#buffer.idle_producers) of
        {{value, Producer}, Rest} ->
            Producer ! Asked + 1,
            ask(Buffer#buffer{asked = Asked + 1, idle_producers = Rest});
        {empty, _} ->
            Buffer
    end;
ask(Buffer) ->
    Buffer.

producer(Buffer) ->
    receive
        Item ->
            Buffer ! {item, Item, self()},
            producer(Buffer)
    end.

consumer(Buffer) ->
    consumer(Buffer, 0).

consumer(Buffer, Consumed) ->
    Buffer ! {available, Consumed, self()},
    receive
        Item -> consumer(Buffer, Item)
    end.
