%% A hundred creatures ask one mall for a partner; two who meet both take a new colour. Twin of programs/chameneos.ts.

-module(chameneos).
-behaviour(host).
-export([run/1, creature/2]).

run([Creatures, Meetings]) ->
    Expected = 2 * Meetings,
    {Time, Expected} = timer:tc(fun() -> open_mall(Creatures, Meetings) end),
    [{chameneos_meetings_per_s, host:per_second(Meetings, Time)}].

open_mall(Creatures, Meetings) ->
    Colours = {blue, red, yellow},
    [spawn_link(?MODULE, creature, [self(), element(Index rem 3 + 1, Colours)])
     || Index <- lists:seq(0, Creatures - 1)],
    mall(Meetings, Creatures, 0).

%% No creature waits here; in wait_for_second one does. A creature counts only after the mall has closed.
mall(_MeetingsLeft, 0, Sum) ->
    Sum;
mall(0, CreaturesLeft, Sum) ->
    receive
        {meet, _Colour, Creature} ->
            Creature ! stop,
            mall(0, CreaturesLeft, Sum);
        {count, Count} ->
            mall(0, CreaturesLeft - 1, Sum + Count)
    end;
mall(MeetingsLeft, CreaturesLeft, Sum) ->
    receive
        {meet, _Colour, First} -> wait_for_second(First, MeetingsLeft, CreaturesLeft, Sum)
    end.

wait_for_second(First, MeetingsLeft, CreaturesLeft, Sum) ->
    receive
        {meet, _Colour, _Creature} = Second ->
            First ! Second,
            mall(MeetingsLeft - 1, CreaturesLeft, Sum)
    end.

creature(Mall, Colour) ->
    Mall ! {meet, Colour, self()},
    creature(Mall, Colour, 0).

creature(Mall, Colour, Meetings) ->
    receive
        {meet, OtherColour, Other} ->
            NewColour = complement(Colour, OtherColour),
            Other ! {change, NewColour},
            Mall ! {meet, NewColour, self()},
            creature(Mall, NewColour, Meetings + 1);
        {change, NewColour} ->
            Mall ! {meet, NewColour, self()},
            creature(Mall, NewColour, Meetings + 1);
        stop ->
            Mall ! {count, Meetings}
    end.

complement(Colour, Colour) -> Colour;
complement(blue, red) -> yellow;
complement(blue, yellow) -> red;
complement(red, blue) -> yellow;
complement(red, yellow) -> blue;
complement(yellow, blue) -> red;
complement(yellow, red) -> blue.
